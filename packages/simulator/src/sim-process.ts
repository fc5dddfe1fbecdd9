/**
 * One process of the simulated cluster: its own time, which can stand still, and an end after which nothing of it has any
 * effect. Several reasons may hold it at once; it runs again when the last has gone.
 */
import { ProcessClock, type VirtualClock } from '@rokka/kernel';

export class SimProcess {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly #world: VirtualClock;
  readonly #holds = new Set<string>();
  #busyUntilMs = 0;

  constructor(name: string, world: VirtualClock) {
    this.name = name;
    this.#world = world;
    this.clock = new ProcessClock(world);
  }

  get alive(): boolean {
    return !this.clock.ended;
  }

  /** What it sends now leaves so much later: a sync that it waits for has begun, and only we know when it ends. */
  get busyMs(): number {
    return Math.max(0, this.#busyUntilMs - this.#world.nowMs());
  }

  end(): void {
    this.clock.end();
  }

  hold(reason: string): void {
    this.#holds.add(reason);
    this.clock.pause();
  }

  release(reason: string): void {
    if (!this.#holds.delete(reason) || this.#holds.size > 0 || !this.alive) return;
    this.clock.resume();
  }

  /** It does nothing else for `ms`, such as waiting for a slow disk. Further waits add up. */
  block(ms: number): void {
    const from = Math.max(this.#busyUntilMs, this.#world.nowMs());
    this.#busyUntilMs = from + ms;
    this.hold('blocked');
    const untilMs = this.#busyUntilMs;
    this.#world.after(untilMs - this.#world.nowMs(), () => {
      if (this.#busyUntilMs === untilMs) this.release('blocked');
    });
  }
}
