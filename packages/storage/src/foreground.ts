/**
 * How background work yields to what somebody waits for (P17 §3.3: the two are negatively correlated). While ships and
 * reads come, work that took some time is followed by a rest of several times as long; on an idle node by none.
 */
import type { Clock } from '@rokka/kernel';
import type { Pace } from './ordered-pull.ts';

/** The node counts as busy for so long after a ship or a read: some of what a writer gathers for those it does not wait for (volume/late-ships.ts). */
const BUSY_MS = 25;
const REST_FACTOR = 3;
/** Of what peers are asked for: so many times as long as it took to come (bench/RESULTS.md has what that does for those who write). */
const PULL_REST_FACTOR = 8;
/** However long a step took, the next one comes: a copy that never ends is a group that stays without its sixth member. */
const REST_MS_MAX = 50;

export class Foreground {
  readonly #clock: Clock;
  #lastMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A ship or a read was served. */
  note(): void {
    this.#lastMs = this.#clock.nowMs();
  }

  /**
   * How the node pulls from its peers. While somebody waits for it, it asks for one piece at a time, and rests after each: so it costs less
   * where there is much to do, however many there are that it could ask.
   */
  pace(signal?: AbortSignal): Pace {
    return {
      inFlight: (idle) => (this.#lastMs > this.#clock.nowMs() - BUSY_MS ? 1 : idle),
      asked: () => {
        const askedMs = this.#clock.nowMs();
        return async () => {
          const restMs = this.restMs(askedMs, PULL_REST_FACTOR);
          if (restMs >= 1) await this.#clock.sleep(restMs, signal);
        };
      },
    };
  }

  /**
   * How long to rest after work that was begun at `startedMs` and has just ended. What arrived while it stopped the node has
   * not been seen yet, so it counts what was there when it began.
   */
  restMs(startedMs: number, factor = REST_FACTOR): number {
    const tookMs = this.#clock.nowMs() - startedMs;
    return this.#lastMs > startedMs - BUSY_MS ? Math.min(REST_MS_MAX, tookMs * factor) : 0;
  }
}
