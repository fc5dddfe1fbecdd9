/** What a start spends its time on, for the log and for benchmarks: clients wait for a head that starts. */
import type { Clock } from '@rokka/kernel';

export class StartSteps {
  readonly #clock: Clock;
  readonly #steps: { name: string; tookMs: number }[] = [];
  #sinceMs: number;

  /** @param sinceMs by the clock, when the first step began */
  constructor(clock: Clock, sinceMs: number) {
    this.#clock = clock;
    this.#sinceMs = sinceMs;
  }

  /** The step ends here, and the next one begins. */
  done(name: string): void {
    const nowMs = this.#clock.nowMs();
    this.#steps.push({ name, tookMs: nowMs - this.#sinceMs });
    this.#sinceMs = nowMs;
  }

  /** Such as `812 ms: code 90, volume 40, postgres 682`. */
  describe(): string {
    const totalMs = this.#steps.reduce((sum, { tookMs }) => sum + tookMs, 0);
    const steps = this.#steps.map(({ name, tookMs }) => `${name} ${Math.round(tookMs)}`);
    return `${Math.round(totalMs)} ms: ${steps.join(', ')}`;
  }
}
