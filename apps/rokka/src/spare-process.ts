/**
 * A process that has loaded its code and waits to be told to begin, so that clients do not wait for that when the one that
 * serves them dies. It has touched nothing: losing it costs nothing but its head start.
 */
import { type ChildProcess } from 'node:child_process';

export class SpareProcess implements AsyncDisposable {
  readonly #launch: () => ChildProcess;
  #waiting: ChildProcess | undefined;

  constructor(launch: () => ChildProcess) {
    this.#launch = launch;
  }

  /** Starts one where none waits. */
  prepare(): void {
    if (isAlive(this.#waiting)) return;
    this.#waiting = this.#launch();
    // Where it cannot be started, the next start says so to somebody who listens.
    this.#waiting.on('error', () => {});
  }

  /** The one that waits, from now on the caller's; undefined where there is none. */
  take(): ChildProcess | undefined {
    const taken = isAlive(this.#waiting) && this.#waiting.connected ? this.#waiting : undefined;
    if (taken) this.#waiting = undefined;
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
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
