/** Clients of a server that do one piece of work after the other, and keep count of what was acknowledged. */
import type { Client } from 'pg';
import { assert, systemClock } from '@rokka/kernel';

const WAIT_MS = 180_000;
const LOOK_AGAIN_MS = 20;

export type Work = (client: Client) => Promise<unknown>;

export class ClientLoad implements AsyncDisposable {
  readonly #clients: readonly Client[];
  readonly #work: Work;
  #running: readonly Promise<void>[] = [];
  #resting = true;
  #failure: Error | undefined;
  #begun = 0;
  #count = 0;

  /** They begin at once. */
  protected constructor(clients: readonly Client[], work: Work) {
    this.#clients = clients;
    this.#work = work;
    this.goOn();
  }

  protected static connected(connect: () => Promise<Client>, clients: number): Promise<Client[]> {
    return Promise.all(Array.from({ length: clients }, () => connect()));
  }

  /** So many have been acknowledged. */
  get count(): number {
    return this.#count;
  }

  /** So many have been asked for: there cannot be more than these. */
  get begun(): number {
    return this.#begun;
  }

  /** Resolves when so many more have been acknowledged. */
  async acknowledged(more: number): Promise<void> {
    const wanted = this.#count + more;
    for (const endMs = systemClock.nowMs() + WAIT_MS; this.#count < wanted;) {
      if (this.#failure) throw this.#failure;
      if (systemClock.nowMs() > endMs) throw new Error(`${this.#count} of ${wanted} after ${WAIT_MS} ms`);
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
  }

  /** Resolves when nobody works any more. @throws what kept a client from going on */
  async rest(): Promise<void> {
    this.#resting = true;
    await Promise.all(this.#running);
    if (this.#failure) throw this.#failure;
  }

  goOn(): void {
    assert(this.#resting, 'a load that rests');
    this.#resting = false;
    this.#running = this.#clients.map((client) => this.#run(client));
  }

  /** @returns how many were acknowledged in all @throws what kept a client from going on */
  async stop(): Promise<number> {
    await this[Symbol.asyncDispose]();
    if (this.#failure) throw this.#failure;
    return this.#count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#resting = true;
    await Promise.all(this.#running);
    await Promise.allSettled(this.#clients.map((client) => client.end()));
  }

  async #run(client: Client): Promise<void> {
    try {
      while (!this.#resting) {
        this.#begun++;
        await this.#work(client);
        this.#count++;
      }
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }
}
