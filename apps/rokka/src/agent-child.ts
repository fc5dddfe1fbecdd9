/** The agent as a child process of its supervisor. Whether it runs is nothing to the databases, nor to the gateway. */
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { SupervisedChild } from './child.ts';
import { compileCacheEnvironment, NODE_FLAGS } from './compile-cache.ts';
import type { AgentProcessOptions } from './processes/agent-process.ts';

/** Scripts of an agent that was killed may have to let applications go on first. */
const READY_MS = 180_000;
/** What it runs is cut short, and every writer let go. */
const STOP_MS = 30_000;

export function agentChild(of: {
  options: AgentProcessOptions;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}): SupervisedChild {
  const { options, onLog } = of;
  return new SupervisedChild({
    name: 'agent',
    command: () => ({
      command: process.execPath,
      args: [
        ...NODE_FLAGS,
        path.join(import.meta.dirname, 'processes', 'agent-process.ts'),
        JSON.stringify(options),
      ],
      env: compileCacheEnvironment(options.directory),
    }),
    clock: systemClock,
    readyTimeoutMs: READY_MS,
    stopTimeoutMs: STOP_MS,
    onReady: () => {},
    onLog: (level, text) => onLog(level, `agent: ${text}`),
    onFinal: (error) => onLog('error', `agent: ${error.message}`),
  });
}
