/** One storage node as a child process of whoever owns the data directory. */
import { spawnSync } from 'node:child_process';
import { type CodedError, systemClock } from '@rokka/kernel';
import { SupervisedChild } from './child.ts';
import { compileCacheEnvironment, NODE_FLAGS } from './compile-cache.ts';
import type { NodeProcessOptions } from './processes/node-process.ts';

const NODE_READY_MS = 120_000;
const NODE_STOP_MS = 10_000;

export interface StorageNodeChildOptions {
  directory: string;
  ordinal: number;
  /** Made anew for each start. */
  options(): NodeProcessOptions;
  /** Where the kernel can, it ends the node with us even while the node hangs on its disk and hears nothing. */
  guarded: boolean;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
  onFinal(error: CodedError): void;
}

export function storageNodeChild(of: StorageNodeChildOptions): SupervisedChild {
  const { directory, ordinal, guarded, onLog, onFinal } = of;
  const name = `storage node ${ordinal}`;
  return new SupervisedChild({
    name,
    command: () => {
      const program = `${import.meta.dirname}/processes/node-process.ts`;
      const args = [...NODE_FLAGS, program, JSON.stringify(of.options())];
      // All of them run the same program: what the first compiles the others, and later starts, need not (and less memory).
      const env = compileCacheEnvironment(directory);
      return guarded
        ? { command: 'setpriv', args: ['--pdeathsig', 'KILL', '--', process.execPath, ...args], env }
        : { command: process.execPath, args, env };
    },
    clock: systemClock,
    readyTimeoutMs: NODE_READY_MS,
    stopTimeoutMs: NODE_STOP_MS,
    onLog: (level, text) => onLog(level, text.startsWith('storage node') ? text : `${name}: ${text}`),
    onFinal: (error) => {
      onLog('error', `${name} stays down: ${error.code}`);
      onFinal(error);
    },
  });
}

/** Whether `guarded` is possible here: util-linux has setpriv, and it runs. */
export const canGuard = (): boolean => spawnSync('setpriv', ['--version']).status === 0;
