/**
 * Records of a service in the registry. Every change is a compare-and-set of one record.
 *
 * A scope, an account in a region, is written down before the first record in it, so that whoever looks after all of them
 * finds it without reading everybody's users.
 */
import { isCoded } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { servicesErrors } from './errors.ts';
import type { Scope } from './scope.ts';

const ATTEMPTS_MAX = 32;

export class RecordStore {
  readonly #registry: Registry;
  readonly #scopes: string;
  readonly #known = new Set<string>();

  /** @param of.service `rds`: a prefix of keys */
  constructor(of: { registry: Registry; service: string }) {
    this.#registry = of.registry;
    this.#scopes = `${of.service}/scopes/`;
  }

  async get<T>(key: string): Promise<T | undefined> {
    return (await this.#registry.get<T>(key))?.value;
  }

  /** In the order of their keys. */
  async list<T>(prefix: string): Promise<T[]> {
    return (await this.#registry.list<T>(prefix)).map(({ value }) => value);
  }

  /** Before the first record is written in it. */
  async enter({ account, region }: Scope): Promise<void> {
    const key = `${this.#scopes}${account}/${region}`;
    if (this.#known.has(key)) return;
    if (!(await this.#registry.get(key))) await this.create(key, { account, region });
    this.#known.add(key);
  }

  scopes(): Promise<Scope[]> {
    return this.list<Scope>(this.#scopes);
  }

  /** False where there is one already. */
  async create(key: string, value: unknown): Promise<boolean> {
    try {
      await this.#registry.put(key, value, 0);
      return true;
    } catch (error) {
      if (isCoded(error, 'REGISTRY_CONFLICT')) return false;
      throw error;
    }
  }

  /**
   * Makes what `change` says of what is there: a record to write, `undefined` to remove it, or the same object again to leave
   * it as it is. `change` may run several times, and may throw.
   * @returns what is there afterwards, and whether this call has made it so
   * @throws SERVICE_RECORD_BUSY, errors of the registry and of `change`
   */
  async change<T>(
    key: string,
    change: (found: T | undefined) => T | undefined,
  ): Promise<{ value: T | undefined; changed: boolean }> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const found = await this.#registry.get<T>(key);
      const value = change(found?.value);
      if (value === found?.value) return { value, changed: false };
      try {
        await (value === undefined
          ? this.#registry.remove(key, found?.revision ?? 0)
          : this.#registry.put(key, value, found?.revision ?? 0));
        return { value, changed: true };
      } catch (error) {
        if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      }
    }
    throw servicesErrors.SERVICE_RECORD_BUSY([key, ATTEMPTS_MAX]);
  }

  /**
   * The same for a record that was read before. One that has taken its name meanwhile is another one, and stays as it is.
   * @returns whether this call has changed it
   */
  async changeSame<T extends { readonly resourceId: string }>(
    key: string,
    known: Pick<T, 'resourceId'>,
    change: (found: T) => T | undefined,
  ): Promise<boolean> {
    const { changed } = await this.change<T>(key, (found) =>
      found && found.resourceId === known.resourceId ? change(found) : found,
    );
    return changed;
  }
}
