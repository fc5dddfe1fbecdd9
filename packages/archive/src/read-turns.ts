/** Reads of a store that are on their way at once: the others wait, first come, first served. Each holds a file or a connection. */
import type { ObjectStore } from './object-store.ts';

export class ReadTurns implements Pick<ObjectStore, 'read'> {
  readonly #store: Pick<ObjectStore, 'read'>;
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(store: Pick<ObjectStore, 'read'>, most: number) {
    this.#store = store;
    this.#most = most;
  }

  /** @throws what the store throws */
  async read(key: string, at: number, lengthBytes: number): Promise<Uint8Array> {
    // Who ends hands its turn on, so that nobody who comes just then goes before those that wait.
    if (this.#busy < this.#most) this.#busy++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#store.read(key, at, lengthBytes);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#busy--;
    }
  }
}
