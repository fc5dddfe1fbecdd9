/** Has the keeper of a service look at its records again and again, whoever wrote them: what was begun is carried on after a crash. */
import { type Clock, describeError, isCoded } from '@rokka/kernel';

const STEP_MS = 500;

export interface KeepingOptions {
  /** For the log: `RDS`. */
  readonly service: string;
  readonly keeper: { step(): Promise<void> };
  readonly clock: Clock;
  log(text: string): void;
}

export class Keeping implements AsyncDisposable {
  readonly #options: KeepingOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #said = '';

  constructor(options: KeepingOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { service, keeper, clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await keeper.step();
        this.#said = '';
      } catch (error) {
        if (!isCoded(error)) throw error;
        this.#complain(`${service}: ${describeError(error)}; it is tried again`);
      }
      await clock.sleep(STEP_MS, signal).catch(() => {});
    }
  }

  /** Once for as long as it stays the same. */
  #complain(text: string): void {
    if (text !== this.#said) this.#options.log(text);
    this.#said = text;
  }
}
