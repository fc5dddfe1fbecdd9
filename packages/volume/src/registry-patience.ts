/**
 * How a writer bears a registry that is away or cannot tell what became of a change: it asks again, for a while. A blip costs nobody the
 * volume; a writer that ended for one would take its mount with it.
 */
import { isCoded, type Clock, type CodedError } from '@rokka/kernel';

/** Of a registry on three machines, elections and a machine that restarts fit in. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 100;

export interface PatienceOptions {
  clock: Clock;
  /** Nobody wants to know any more. */
  isOver(): boolean;
}

export class RegistryPatience {
  readonly #options: PatienceOptions;
  readonly #untilMs: number;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#untilMs = options.clock.nowMs() + PATIENCE_MS;
  }

  /** Waits a moment before the registry is asked again. @throws `cause` where there is no time left */
  async rest(cause: CodedError): Promise<void> {
    const { clock, isOver } = this.#options;
    if (isOver() || clock.nowMs() + RETRY_MS > this.#untilMs) throw cause;
    await clock.sleep(RETRY_MS);
    if (isOver()) throw cause;
  }

  /** Reads something. @throws `cause`, or why it cannot be read, where there is no time left; what will not pass */
  async read<T>(read: () => Promise<T>, cause?: CodedError): Promise<T> {
    for (;;) {
      try {
        return await read();
      } catch (error) {
        if (!isPassing(error)) throw error;
        await this.rest(cause ?? error);
      }
    }
  }
}

/** The registry is away for now, or what became of the change is unknown. The desk of another machine may be what is away. */
export function isPassing(error: unknown): error is CodedError {
  if (!isCoded(error)) return false;
  const isAway = /^(REGISTRY_(UNAVAILABLE|BUSY|FAILED)$|TRANSPORT_|KERNEL_DEADLINE$)/.test(error.code);
  return isAway || error.detail['inDoubt'] === true;
}
