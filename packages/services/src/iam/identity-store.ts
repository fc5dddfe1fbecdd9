/**
 * Users, roles, policies and sessions in the registry, with a cache for the calls that each need a handful of them.
 *
 * Every change is a compare-and-set of one document. What this process has changed counts at its next read; what another
 * one has changed, at the latest `staleMsMax` later. What is not there is not cached: a key that was made elsewhere a
 * moment ago is found.
 */
import { type Clock, isCoded } from '@rokka/kernel';
import type { Registry, RegistryEntry } from '@rokka/registry';
import { BoundedCache } from '../bounded-cache.ts';
import { servicesErrors } from '../errors.ts';

const ATTEMPTS_MAX = 32;

export interface IdentityStoreOptions {
  registry: Registry;
  clock: Clock;
  /** Twelve digits; `ensureAdministrator` knows it. */
  account: string;
  /** How long a change of another process may go unnoticed; default 2 s. */
  staleMsMax?: number;
  /** How many documents are remembered; default 10,000. */
  cachedMax?: number;
}

interface Cached {
  value: unknown;
  readAtMs: number;
}

export class IdentityStore {
  readonly account: string;
  readonly #options: Required<IdentityStoreOptions>;
  readonly #cache: BoundedCache<string, Cached>;
  /** Reads under way by key: one that a change has overtaken must not be remembered. */
  readonly #reading = new Map<string, Set<{ overtaken: boolean }>>();

  constructor(options: IdentityStoreOptions) {
    this.#options = { staleMsMax: 2_000, cachedMax: 10_000, ...options };
    this.account = options.account;
    this.#cache = new BoundedCache(this.#options.cachedMax);
  }

  /** At most `staleMsMax` old. Do not change it. */
  async read<T>(key: string): Promise<T | undefined> {
    const { clock, staleMsMax } = this.#options;
    const cached = this.#cache.get(key);
    if (cached && clock.nowMs() - cached.readAtMs < staleMsMax) return cached.value as T;
    return (await this.fresh<T>(key))?.value;
  }

  /** As the registry has it now. */
  async fresh<T>(key: string): Promise<RegistryEntry<T> | undefined> {
    const readAtMs = this.#options.clock.nowMs();
    const reading = { overtaken: false };
    const others = this.#reading.get(key) ?? new Set();
    this.#reading.set(key, others.add(reading));
    try {
      const found = await this.#options.registry.get<T>(key);
      if (!reading.overtaken) this.#remember(key, found?.value, readAtMs);
      return found;
    } finally {
      others.delete(reading);
      if (others.size === 0) this.#reading.delete(key);
    }
  }

  async list<T>(prefix: string): Promise<T[]> {
    return (await this.#options.registry.list<T>(prefix)).map(({ value }) => value);
  }

  /**
   * Makes what `change` says of what is there: a document to write, `undefined` to remove it, or the same object again to
   * leave it as it is. `change` may run several times, and may throw.
   * @returns what is there afterwards
   * @throws IDENTITY_BUSY, errors of the registry and of `change`
   */
  async update<T, R extends T | undefined>(key: string, change: (found: T | undefined) => R): Promise<R> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const found = await this.fresh<T>(key);
      const wanted = change(found?.value);
      if (wanted === found?.value) return wanted;
      if (await this.#write(key, wanted, found?.revision ?? 0)) return wanted;
    }
    throw servicesErrors.IDENTITY_BUSY([key, ATTEMPTS_MAX]);
  }

  /** False where somebody else was first. */
  async #write(key: string, value: unknown, revision: number): Promise<boolean> {
    const { registry } = this.#options;
    try {
      await (value === undefined ? registry.remove(key, revision) : registry.put(key, value, revision));
      return true;
    } catch (error) {
      if (isCoded(error, 'REGISTRY_CONFLICT')) return false;
      throw error;
    } finally {
      // Whatever became of it: what was known before is not to be believed any more.
      this.#forget(key);
    }
  }

  #forget(key: string): void {
    this.#cache.delete(key);
    for (const reading of this.#reading.get(key) ?? []) reading.overtaken = true;
  }

  #remember(key: string, value: unknown, readAtMs: number): void {
    if (value === undefined) this.#cache.delete(key);
    else this.#cache.set(key, { value, readAtMs });
  }
}
