/**
 * CLIENT PAUSE … WRITE as a lease: it ends by itself a few seconds after the last renewal, so that a process that is killed while
 * it holds a server does not hold it for long. Renewals go on for as long as a freeze may last at most.
 *
 * Whether it has held all the time is told by the clock: the server counts from when a command reaches it, which is after it
 * was sent and before it is answered. So a pause lasts at least until its length after it was sent, and the next one has come in
 * time if its answer is here by then.
 */
import type { Clock } from '@rokka/kernel';
import { FREEZE_MS_MAX } from '../../provider.ts';

export const LEASE_MS = 10_000;
const RENEW_MS = 3000;

export interface PauseOptions {
  readonly clock: Clock;
  /** Sends one CLIENT PAUSE for so long; resolves when it is answered. Only the first one has a signal. */
  readonly send: (ms: number, signal?: AbortSignal) => Promise<unknown>;
}

export class Pause {
  readonly #options: PauseOptions;
  readonly #sinceMs: number;
  #untilMs = Number.POSITIVE_INFINITY;
  #gap = false;
  #stopped = false;
  #cancel: () => void = () => {};

  private constructor(options: PauseOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.nowMs();
  }

  /** @throws what `send` throws for the first one */
  static async begin(options: PauseOptions, signal: AbortSignal): Promise<Pause> {
    const pause = new Pause(options);
    await pause.#renew(signal);
    return pause;
  }

  /** Whether it has held from the beginning until now. */
  get holds(): boolean {
    return !this.#gap && this.#options.clock.nowMs() <= this.#untilMs;
  }

  /** No more renewals; ends the pause only after its lease. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #renew(signal?: AbortSignal): Promise<void> {
    const { clock, send } = this.#options;
    const sentMs = clock.nowMs();
    await send(LEASE_MS, signal);
    if (clock.nowMs() > this.#untilMs) this.#gap = true;
    this.#untilMs = sentMs + LEASE_MS;
    if (!this.#stopped && sentMs + RENEW_MS - this.#sinceMs < FREEZE_MS_MAX)
      this.#cancel = clock.after(RENEW_MS, () => this.#again());
  }

  /** One that fails shows by the lease's end. */
  #again(): void {
    this.#renew().catch(() => {});
  }
}
