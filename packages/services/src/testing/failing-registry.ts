/**
 * A registry whose process dies at one of its writes: before the write, or after it and before anybody is told. From then
 * on nothing works any more.
 */
import type { Registry, RegistryEntry } from '@rokka/registry';

export class Crash extends Error {
  override name = 'Crash';
}

export type CrashAt = { write: number; when: 'before' | 'after' };

export class FailingRegistry implements Registry {
  readonly #inner: Registry;
  readonly #at: CrashAt;
  #writes = 0;
  #dead = false;

  constructor(inner: Registry, at: CrashAt) {
    this.#inner = inner;
    this.#at = at;
  }

  get crashed(): boolean {
    return this.#dead;
  }

  async get<T>(key: string): Promise<RegistryEntry<T> | undefined> {
    this.#check();
    return this.#inner.get<T>(key);
  }

  async list<T>(prefix: string): Promise<RegistryEntry<T>[]> {
    this.#check();
    return this.#inner.list<T>(prefix);
  }

  async put(key: string, value: unknown, expectedRevision: number): Promise<number> {
    return this.#write(() => this.#inner.put(key, value, expectedRevision));
  }

  async remove(key: string, expectedRevision: number): Promise<void> {
    return this.#write(() => this.#inner.remove(key, expectedRevision));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #write<T>(write: () => Promise<T>): Promise<T> {
    this.#check();
    const now = this.#writes++ === this.#at.write;
    if (now && this.#at.when === 'before') this.#die();
    const result = await write();
    if (now) this.#die();
    return result;
  }

  #check(): void {
    if (this.#dead) throw new Crash('the process is gone');
  }

  #die(): never {
    this.#dead = true;
    throw new Crash(`at write ${this.#at.write}, ${this.#at.when}`);
  }
}

/** Runs `scenario` with a crash at every write that it makes; true where the crash was reached, for as long as it is. */
export async function atEveryCrash(run: (at: CrashAt) => Promise<boolean>): Promise<number> {
  let crashes = 0;
  for (const when of ['before', 'after'] as const)
    for (let write = 0; await run({ write, when }); write++) crashes++;
  return crashes;
}
