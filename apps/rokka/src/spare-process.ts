/**
 * A process that has loaded its code and waits to be told to begin, so that clients do not wait for that when the one that
 * serves them dies. It has touched nothing: losing it costs nothing but its head start.
 */
import type { ChildProcess } from 'node:child_process';
import { describeError } from '@rokka/kernel';

export interface SpareOptions {
  launch(): ChildProcess;
  /** There is none for now. Whoever serves goes on. */
  onMissing(why: string): void;
}

export class SpareProcess implements AsyncDisposable {
  readonly #options: SpareOptions;
  #waiting: ChildProcess | undefined;
  #disposed = false;

  constructor(options: SpareOptions) {
    this.#options = options;
  }

  /** Starts one where none waits. Where that fails, because the machine has no memory or descriptors left, there is none. */
  prepare(): void {
    if (this.#disposed || isAlive(this.#waiting)) return;
    const { launch, onMissing } = this.#options;
    try {
      this.#waiting = launch();
      this.#waiting.on('error', (error) => onMissing(error.message));
    } catch (error) {
      onMissing(describeError(error));
    }
  }

  /** The one that waits, from now on the caller's; undefined where there is none. */
  take(): ChildProcess | undefined {
    const taken = isAlive(this.#waiting) && this.#waiting.connected ? this.#waiting : undefined;
    if (taken) this.#waiting = undefined;
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const child = this.#waiting;
    if (!isAlive(child)) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    await ended;
  }
}

export function isAlive(child: ChildProcess | undefined): child is ChildProcess {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
