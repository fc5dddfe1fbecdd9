/**
 * Passwords of databases that move between machines: in the registry, which every machine reads that may run them (`secrets/<name>`), and
 * copied into files of the machine that asks, for its clients and servers.
 *
 * The registry is right, and is written first. Of main alone the file may be older: the machine that made the cluster drew it, and tells it to
 * those that join.
 */
import { isCoded } from '@rokka/kernel';
import type { Registry, RegistryEntry } from '@rokka/registry';
import { databaseErrors } from '../errors.ts';
import { MAIN } from './database-record.ts';
import { type Secret, SecretFiles, type SecretStore } from './database-secrets.ts';

const SECRETS = 'secrets/';
const ATTEMPTS_MAX = 50;

export class RegistrySecrets implements SecretStore {
  readonly #registry: Registry;
  readonly #files: SecretFiles;

  constructor(of: { registry: Registry; directory: string }) {
    this.#registry = of.registry;
    this.#files = new SecretFiles(of.directory);
  }

  async get(name: string): Promise<Secret> {
    const secret = this.#of(name, await this.#registry.get<Secret>(SECRETS + name));
    this.#files.write(name, secret);
    return secret;
  }

  async change(name: string, change: (known: Secret) => Secret): Promise<void> {
    for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
      const entry = await this.#registry.get<Secret>(SECRETS + name);
      const next = change(this.#of(name, entry));
      try {
        await this.#write(name, entry, next);
        return this.#files.write(name, next);
      } catch (error) {
        if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      }
    }
    throw databaseErrors.DATABASE_CHANGED_OFTEN([name, ATTEMPTS_MAX]);
  }

  async changing(): Promise<ReadonlySet<string>> {
    const entries = await this.#registry.list<Secret>(SECRETS);
    const found = entries.filter(({ value }) => value.before !== undefined);
    return new Set(found.map(({ key }) => key.slice(SECRETS.length)));
  }

  #of(name: string, entry: RegistryEntry<Secret> | undefined): Secret {
    return entry?.value ?? (name === MAIN ? this.#files.read(name) : {});
  }

  async #write(name: string, entry: RegistryEntry<Secret> | undefined, next: Secret): Promise<void> {
    const { password, before } = next;
    const value = { ...(password !== undefined && { password }), ...(before !== undefined && { before }) };
    if (password !== undefined || before !== undefined)
      await this.#registry.put(SECRETS + name, value, entry?.revision ?? 0);
    else if (entry) await this.#registry.remove(entry.key, entry.revision);
  }
}
