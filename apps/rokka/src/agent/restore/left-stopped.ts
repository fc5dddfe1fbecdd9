/**
 * Applications that a restore has left stopped: its agent was killed and the command has expired since, or they did not start. Looked at when the
 * agent begins and every minute after that, so that none stays down because nobody asks any more.
 */
import { type Clock, describeError, isCoded } from '@rokka/kernel';

const LOOK_MS = 60_000;

export interface LeftStoppedOptions {
  readonly clock: Clock;
  /** @returns what runs again @throws coded errors where something does not, or cannot be looked at */
  start(signal: AbortSignal): Promise<readonly string[]>;
  log(text: string): void;
}

export class LeftStopped implements AsyncDisposable {
  readonly #options: LeftStoppedOptions;
  readonly #ending = new AbortController();
  readonly #loop: Promise<void>;
  #complaint = '';

  private constructor(options: LeftStoppedOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  static watch(options: LeftStoppedOptions): LeftStopped {
    return new LeftStopped(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('the agent ends'));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await this.#look(signal);
      await this.#options.clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { start, log } = this.#options;
    try {
      for (const name of await start(signal)) log(`${name} was left stopped by a restore, and runs again`);
      this.#complaint = '';
    } catch (error) {
      if (signal.aborted) return;
      if (!isCoded(error)) throw error;
      // The same is told once.
      const text = describeError(error);
      if (text !== this.#complaint) log((this.#complaint = text));
    }
  }
}
