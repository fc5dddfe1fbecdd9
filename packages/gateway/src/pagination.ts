/**
 * Pages of a list. A token names the last key of the page before, so a list that changes meanwhile neither repeats what was
 * shown nor skips what was there. It is sealed with a secret and with what was asked (account, region, action, filters): one
 * that was made up, altered or taken from another question is refused, and so is one from before a change of the secret.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { assert } from '@rokka/kernel';

const VERSION = 1;
const SEAL_BYTES = 16;
const TOKEN_CHARACTERS_MAX = 4096;

export interface PageOf<T> {
  /** All of them, by ascending key. */
  readonly items: readonly T[];
  /** Unique; compared as text. */
  readonly keyOf: (item: T) => string;
  /** Items on a page. */
  readonly limit: number;
  /** As the client sends it; undefined for the first page. */
  readonly token: string | undefined;
  /** What the list was of: a token counts only where all of it is the same. */
  readonly scope: readonly string[];
  /** The service's own error for a token that is none. */
  readonly refuse: () => Error;
}

export class Pages {
  readonly #secret: Uint8Array;

  /** @param options.secret at least 16 bytes; the same on every gateway that serves the list */
  constructor(options: { secret: Uint8Array }) {
    assert(options.secret.length >= 16, 'a secret of at least 16 bytes');
    this.#secret = options.secret;
  }

  /** @throws what `refuse` makes */
  page<T>(of: PageOf<T>): { items: T[]; next: string | undefined } {
    assert(of.limit > 0, 'a page holds an item at least');
    const after = of.token === undefined ? undefined : this.#open(of.token, of.scope);
    if (of.token !== undefined && after === undefined) throw of.refuse();
    const rest = after === undefined ? of.items : of.items.filter((item) => of.keyOf(item) > after);
    const items = rest.slice(0, of.limit);
    const last = items.at(-1);
    const isLast = last === undefined || items.length === rest.length;
    return { items, next: isLast ? undefined : this.#seal(of.keyOf(last), of.scope) };
  }

  #seal(key: string, scope: readonly string[]): string {
    const body = Buffer.concat([Buffer.of(VERSION), Buffer.from(key, 'utf8')]);
    return Buffer.concat([this.#mac(body, scope), body]).toString('base64url');
  }

  #open(token: string, scope: readonly string[]): string | undefined {
    if (token.length > TOKEN_CHARACTERS_MAX || !/^[\w-]+$/.test(token)) return undefined;
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length <= SEAL_BYTES) return undefined;
    const [seal, body] = [bytes.subarray(0, SEAL_BYTES), bytes.subarray(SEAL_BYTES)];
    if (!timingSafeEqual(seal, this.#mac(body, scope)) || body[0] !== VERSION) return undefined;
    return body.subarray(1).toString('utf8');
  }

  #mac(body: Buffer, scope: readonly string[]): Buffer {
    const mac = createHmac('sha256', this.#secret).update(JSON.stringify(scope)).update('\0').update(body);
    return mac.digest().subarray(0, SEAL_BYTES);
  }
}
