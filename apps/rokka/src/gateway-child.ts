/** The gateway as a child process of its supervisor. Whether it runs is nothing to the databases. */
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { SupervisedChild } from './child.ts';
import { compileCacheEnvironment, NODE_FLAGS } from './compile-cache.ts';
import type { GatewayDetail, GatewayProcessOptions } from './processes/gateway-process.ts';

const READY_MS = 60_000;
/** Running calls end by then, or are ended. */
const STOP_MS = 15_000;

export function gatewayChild(of: {
  options: GatewayProcessOptions;
  onReady(detail: GatewayDetail): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}): SupervisedChild {
  const { options, onReady, onLog } = of;
  return new SupervisedChild({
    name: 'gateway',
    command: () => ({
      command: process.execPath,
      args: [
        ...NODE_FLAGS,
        path.join(import.meta.dirname, 'processes', 'gateway-process.ts'),
        JSON.stringify(options),
      ],
      env: compileCacheEnvironment(options.directory),
    }),
    clock: systemClock,
    readyTimeoutMs: READY_MS,
    stopTimeoutMs: STOP_MS,
    onReady: (detail) => onReady(detail as GatewayDetail),
    onLog: (level, text) => onLog(level, `AWS API: ${text}`),
    onFinal: (error) => onLog('error', `AWS API: ${error.message}`),
  });
}
