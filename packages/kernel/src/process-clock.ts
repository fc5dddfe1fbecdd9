/** The clock of one process among several on a common clock, so that a test can pause the process or end it. */
import { sleepOn, type Clock } from './clock.ts';

export class ProcessClock implements Clock {
  readonly #clock: Clock;
  #ended = false;
  #paused = false;
  #due: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { cancelled: false };
    const fire = () => {
      if (this.#ended || timer.cancelled) return;
      if (this.#paused) this.#due.push(fire);
      else run();
    };
    const cancel = this.#clock.after(delayMs, fire);
    return () => {
      timer.cancelled = true;
      cancel();
    };
  }

  soon(run: () => void): void {
    this.after(0, run);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  get ended(): boolean {
    return this.#ended;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** The process was killed: none of its timers fires any more. */
  end(): void {
    this.#ended = true;
    this.#due = [];
  }

  pause(): void {
    this.#paused = true;
  }

  /** What fell due meanwhile runs now, late, one after the other in its order, as after a SIGCONT. */
  resume(): void {
    this.#paused = false;
    for (const fire of this.#due.splice(0)) this.#clock.soon(fire);
  }
}
