/** Join tokens in the cluster's registry, so that whoever holds the authority knows them, and a restart forgets none. */
import { isCoded } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { StoredToken, TokenRecord, TokenStore } from '@rokka/trust';

const TOKENS = 'tokens/';

export class RegistryTokens implements TokenStore {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  async get(tokenId: string): Promise<StoredToken | undefined> {
    const entry = await this.#registry.get<TokenRecord>(TOKENS + tokenId);
    return entry && { record: entry.value, revision: entry.revision };
  }

  async list(): Promise<StoredToken[]> {
    const entries = await this.#registry.list<TokenRecord>(TOKENS);
    return entries.map(({ value, revision }) => ({ record: value, revision }));
  }

  put(record: TokenRecord, expectedRevision: number): Promise<boolean> {
    return unlessConflict(this.#registry.put(TOKENS + record.tokenId, record, expectedRevision));
  }

  remove(tokenId: string, expectedRevision: number): Promise<boolean> {
    return unlessConflict(this.#registry.remove(TOKENS + tokenId, expectedRevision));
  }
}

async function unlessConflict(change: Promise<unknown>): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    if (isCoded(error, 'REGISTRY_CONFLICT')) return false;
    throw error;
  }
}
