/** The head of a database as a child process of its supervisor. */
import * as path from 'node:path';
import { type CodedError, describeError, systemClock } from '@rokka/kernel';
import { namespaceCommand } from '@rokka/databases';
import { type ChildOptions, SupervisedChild } from '../child.ts';
import { compileCacheEnvironment } from '../compile-cache.ts';
import type { Connection, FilesDetail } from '../processes/engine.ts';
import type { HeadProcessOptions } from '../processes/head-process.ts';
import { hasShim } from '../processes/legacy-fds.ts';
import type { SpareProcess } from '../spare-process.ts';
import { takeMountAway } from './volume-mounts.ts';

const HEAD_READY_MS = 600_000;
const HEAD_STOP_MS = 120_000;

export interface HeadChildOptions {
  /** Asked for when a process is launched, and again when it begins. */
  options(): HeadProcessOptions;
  /** For people and the log. */
  name: string;
  /** Which volume it mounts, and where, so that the machine's programs find it. */
  mount?: { readonly volume: string; readonly at: string } | undefined;
  /** Whether another process waits, its code loaded, to take over: 35 MB for a second or less of clients' time. */
  spare: boolean;
  /** Of the head before it, or whatever waits for it. */
  handedOver?: Pick<SpareProcess, 'take'> | undefined;
  onReady(detail: Connection | FilesDetail): void;
  /** It ended by itself, and is started again. */
  onLost?(): void;
  /** It ended and must not be started again. */
  onFinal(error: CodedError): void;
  onProgress(text: string): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

export function headChild(of: HeadChildOptions): SupervisedChild {
  const { name, spare, handedOver, onProgress, onLog, onFinal } = of;
  return new HeadChild(of.mount, {
    name,
    awaitsBegin: true,
    argument: () => of.options(),
    spare,
    handedOver,
    command: () => headCommand(of.options()),
    clock: systemClock,
    readyTimeoutMs: HEAD_READY_MS,
    stopTimeoutMs: HEAD_STOP_MS,
    onProgress,
    onLog,
    onReady: (detail) => of.onReady(detail as Connection | FilesDetail),
    onFinal,
    ...(of.onLost && { onLost: of.onLost }),
  });
}

/**
 * However it ends, nothing of its mount stays. What was killed are two processes, of which the second, with the mount's device, is a moment
 * longer there: until then the mount looks alive, and afterwards its files seem to be there as long as the kernel remembers their names.
 */
class HeadChild extends SupervisedChild {
  readonly #mount: HeadChildOptions['mount'];
  readonly #log: ChildOptions['onLog'];

  constructor(mount: HeadChildOptions['mount'], options: ChildOptions) {
    super(options);
    this.#mount = mount;
    this.#log = options.onLog;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    // What it found there is not its own, and may be in use.
    if (!this.#mount || this.lastError?.code === 'FUSE_ALREADY_MOUNTED') return;
    try {
      await takeMountAway(this.#mount.at, this.#mount.volume);
    } catch (error) {
      // Of the world, also where the machine has no process left for it: whoever mounts there next looks again.
      if (typeof (error as { code?: unknown }).code !== 'string') throw error;
      this.#log('warn', describeError(error));
    }
  }
}

/** Of its process. What a spare is launched with need be that of its database only in what is true of all of the engine. */
export function headCommand(options: HeadProcessOptions): ReturnType<ChildOptions['command']> {
  // What must outlive a head has a process of its own, which starts the head.
  const mounted = options.files?.mountPoint !== undefined;
  const entry = hasShim({ engine: options.engine, mounted }) ? 'shim-process.ts' : 'head-process.ts';
  const program = path.join(import.meta.dirname, '..', 'processes', entry);
  const inner = { command: process.execPath, args: [program, JSON.stringify(options)] };
  const { command, args } = options.engine === 'native' ? namespaceCommand(inner) : inner;
  return { command, args: [...args], env: compileCacheEnvironment(options.directory) };
}
