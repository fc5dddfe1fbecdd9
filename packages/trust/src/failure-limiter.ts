/**
 * Counts failed attempts, for each source and for all together, in windows of a minute. Guessing a token is hopeless
 * anyway (256 bits); what is kept small here is the work and the log that strangers can cause.
 */
import type { Clock } from '@rokka/kernel';

const WINDOW_MS = 60_000;
/** Sources that are remembered; the window's common count holds when there are more. */
const SOURCES_MAX = 1024;

export interface FailureLimits {
  /** A minute, of one source; default 10. */
  perSource?: number;
  /** A minute, of all; default 200. */
  inAll?: number;
}

export class FailureLimiter {
  readonly #clock: Clock;
  readonly #perSource: number;
  readonly #inAll: number;
  readonly #failures = new Map<string, number>();
  #total = 0;
  #windowEndMs = 0;

  constructor(clock: Clock, { perSource = 10, inAll = 200 }: FailureLimits = {}) {
    this.#clock = clock;
    this.#perSource = perSource;
    this.#inAll = inAll;
  }

  /** Whether `source` may try. */
  allows(source: string): boolean {
    this.#turnWindow();
    return this.#total < this.#inAll && (this.#failures.get(source) ?? 0) < this.#perSource;
  }

  failed(source: string): void {
    this.#turnWindow();
    this.#total++;
    if (this.#failures.has(source) || this.#failures.size < SOURCES_MAX)
      this.#failures.set(source, (this.#failures.get(source) ?? 0) + 1);
  }

  #turnWindow(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#windowEndMs) return;
    this.#windowEndMs = nowMs + WINDOW_MS;
    this.#failures.clear();
    this.#total = 0;
  }
}
