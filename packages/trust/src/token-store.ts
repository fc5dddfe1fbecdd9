/** What the cluster remembers of its join tokens, and where: by compare-and-set, as the registry does it. */
import type { Role } from '@rokka/transport';

/** Plain JSON. Nothing in it lets anybody join. */
export interface TokenRecord {
  readonly tokenId: string;
  /** See `secretVerifier`. */
  readonly verifier: string;
  readonly role: Role;
  readonly zone: string;
  readonly memberId?: string;
  /** Wall clock. */
  readonly expiresAtMs: number;
  readonly revoked: boolean;
  /** By whom it was used: it serves this member's key alone from then on. */
  readonly usedBy?: { readonly id: string; readonly keyPin: string; readonly atMs: number };
}

export interface StoredToken {
  readonly record: TokenRecord;
  /** Changes with every write; 0 stands for "no such token" in `put`. */
  readonly revision: number;
}

export interface TokenStore {
  get(tokenId: string): Promise<StoredToken | undefined>;
  list(): Promise<StoredToken[]>;
  /** Durable when it resolves. Answers false, and writes nothing, where the token is not at `expectedRevision`. */
  put(record: TokenRecord, expectedRevision: number): Promise<boolean>;
  /** Answers as `put`. */
  remove(tokenId: string, expectedRevision: number): Promise<boolean>;
}

/** For tests, and for a cluster in one process. */
export class MemoryTokenStore implements TokenStore {
  readonly #tokens = new Map<string, StoredToken>();
  #lastRevision = 0;

  async get(tokenId: string): Promise<StoredToken | undefined> {
    return structuredClone(this.#tokens.get(tokenId));
  }

  async list(): Promise<StoredToken[]> {
    return structuredClone([...this.#tokens.values()]);
  }

  async put(record: TokenRecord, expectedRevision: number): Promise<boolean> {
    if (!this.#isAt(record.tokenId, expectedRevision)) return false;
    this.#tokens.set(record.tokenId, structuredClone({ record, revision: ++this.#lastRevision }));
    return true;
  }

  async remove(tokenId: string, expectedRevision: number): Promise<boolean> {
    return this.#isAt(tokenId, expectedRevision) && this.#tokens.delete(tokenId);
  }

  #isAt(tokenId: string, revision: number): boolean {
    return (this.#tokens.get(tokenId)?.revision ?? 0) === revision;
  }
}
