/** A registry in memory, for tests and simulation. Values are kept as JSON text, so that nobody can change one in place. */
import { checkKey, checkPrefix, encodeValue } from './entry-codec.ts';
import { registryErrors } from './errors.ts';
import type { Registry, RegistryEntry } from './registry.ts';

interface State {
  revision: number;
  readonly entries: Map<string, { text: string; revision: number }>;
}

export class MemoryRegistry implements Registry {
  #state: State = { revision: 0, entries: new Map() };
  #closed = false;

  /** Another handle on the same state, as another process has it. */
  another(): MemoryRegistry {
    const other = new MemoryRegistry();
    other.#state = this.#state;
    return other;
  }

  async get<T>(key: string): Promise<RegistryEntry<T> | undefined> {
    this.#checkOpen();
    checkKey(key);
    const found = this.#state.entries.get(key);
    return found && { key, value: JSON.parse(found.text) as T, revision: found.revision };
  }

  async list<T>(prefix: string): Promise<RegistryEntry<T>[]> {
    this.#checkOpen();
    checkPrefix(prefix);
    return [...this.#state.entries]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { text, revision }]) => ({ key, value: JSON.parse(text) as T, revision }));
  }

  async put(key: string, value: unknown, expectedRevision: number): Promise<number> {
    this.#checkOpen();
    checkKey(key);
    const text = encodeValue(key, value);
    this.#expect(key, expectedRevision);
    const revision = ++this.#state.revision;
    this.#state.entries.set(key, { text, revision });
    return revision;
  }

  async remove(key: string, expectedRevision: number): Promise<void> {
    this.#checkOpen();
    checkKey(key);
    this.#expect(key, expectedRevision);
    this.#state.entries.delete(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
  }

  #expect(key: string, expected: number): void {
    const found = this.#state.entries.get(key)?.revision ?? 0;
    if (found !== expected) throw registryErrors.REGISTRY_CONFLICT([key, expected, found]);
  }

  #checkOpen(): void {
    if (this.#closed) throw registryErrors.REGISTRY_CLOSED(['the registry in memory']);
  }
}
