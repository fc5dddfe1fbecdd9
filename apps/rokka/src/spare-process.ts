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
  /** The last one that was let go. */
  #leaving: ChildProcess | undefined;
  #disposed = false;

  constructor(options: SpareOptions) {
    this.#options = options;
  }

  get waits(): boolean {
    return isAlive(this.#waiting);
  }

  /** Starts one where none waits. Where that fails, because the machine has no memory or descriptors left, there is none. */
  prepare(): void {
    if (this.#disposed || this.waits) return;
    const { launch, onMissing } = this.#options;
    try {
      const child = launch();
      this.#waiting = child;
      const missing = (why: string) => {
        if (this.#waiting !== child || this.#disposed) return;
        this.#waiting = undefined;
        onMissing(why);
      };
      child.on('error', (error) => missing(error.message));
      child.on('exit', (code, signal) => missing(`it ended (${signal ?? code})`));
    } catch (error) {
      onMissing(describeError(error));
    }
  }

  /** Nobody needs the one that waits. */
  dismiss(): void {
    if (!isAlive(this.#waiting)) return;
    this.#leaving = this.#waiting;
    this.#waiting = undefined;
    this.#leaving.kill('SIGKILL');
  }

  /** The one that waits, from now on the caller's; undefined where there is none. */
  take(): ChildProcess | undefined {
    const taken = isAlive(this.#waiting) && this.#waiting.connected ? this.#waiting : undefined;
    if (taken) this.#waiting = undefined;
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.dismiss();
    const child = this.#leaving;
    if (isAlive(child)) await new Promise<void>((resolve) => child.once('exit', () => resolve()));
  }
}

export function isAlive(child: ChildProcess | undefined): child is ChildProcess {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
