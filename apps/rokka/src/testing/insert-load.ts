/** Clients that insert numbered rows and keep count of what was acknowledged. */
import type { Client } from 'pg';
import { must, systemClock } from '@rokka/kernel';

const WAIT_MS = 60_000;
const LOOK_AGAIN_MS = 20;

export class InsertLoad implements AsyncDisposable {
  readonly #clients: readonly Client[];
  readonly #running: Promise<void>[];
  #stopped = false;
  #failure: Error | undefined;
  #count = 0;

  private constructor(clients: readonly Client[]) {
    this.#clients = clients;
    this.#running = clients.map((client) => this.#run(client));
  }

  static async start(connect: () => Promise<Client>, clients: number): Promise<InsertLoad> {
    const connected = await Promise.all(Array.from({ length: clients }, () => connect()));
    await must(connected[0]).query('CREATE TABLE load (id bigserial PRIMARY KEY, filler text)');
    return new InsertLoad(connected);
  }

  /** Rows in what was restored. */
  static async found(client: Client): Promise<number> {
    const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM load');
    await client.end();
    return must(rows[0]).count;
  }

  /** So many have been acknowledged. */
  get count(): number {
    return this.#count;
  }

  /** Resolves when so many more have been. */
  async acknowledged(more: number): Promise<void> {
    const wanted = this.#count + more;
    for (const endMs = systemClock.nowMs() + WAIT_MS; this.#count < wanted;) {
      if (this.#failure) throw this.#failure;
      if (systemClock.nowMs() > endMs)
        throw new Error(`${this.#count} of ${wanted} rows after ${WAIT_MS} ms`);
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
  }

  /** @returns how many were acknowledged in all @throws what kept a client from going on */
  async stop(): Promise<number> {
    await this[Symbol.asyncDispose]();
    if (this.#failure) throw this.#failure;
    return this.#count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    await Promise.allSettled(this.#clients.map((client) => client.end()));
  }

  async #run(client: Client): Promise<void> {
    try {
      while (!this.#stopped) {
        await client.query("INSERT INTO load (filler) VALUES (repeat('x', 100))");
        this.#count++;
      }
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }
}
