/**
 * The keys that signatures are made with: derived from a secret by four HMACs, the same for all calls of a day to one service in
 * one region. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * A key is kept once a signature with it has been right: whoever has no secret could otherwise push out those of who has.
 * It is found by the secret itself, so a user whose secret is another one tomorrow is never taken for yesterday's.
 * Bounded: `KEYS_MAX` of them, the oldest goes.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type { Scope } from './scope.ts';

const KEYS_MAX = 1024;

export class SigningKeys {
  readonly #kept = new Map<string, KeyObject>();

  get size(): number {
    return this.#kept.size;
  }

  find(scope: Scope, secret: string): KeyObject {
    return this.#kept.get(nameOf(scope, secret)) ?? derived(scope, secret);
  }

  keep(scope: Scope, secret: string, key: KeyObject): void {
    const name = nameOf(scope, secret);
    if (this.#kept.has(name)) return;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size >= KEYS_MAX) this.#kept.delete(oldest);
    this.#kept.set(name, key);
  }
}

/** What is after the secret has no slashes inside, so no two of them are written alike. */
const nameOf = ({ day, region, service }: Scope, secret: string) => `${secret}/${day}/${region}/${service}`;

/** An object and no bytes: HMAC would make one of these at each call. */
function derived(scope: Scope, secret: string): KeyObject {
  const root = createSecretKey(`AWS4${secret}`, 'utf8');
  return [scope.day, scope.region, scope.service, 'aws4_request'].reduce(
    (key, part) => createSecretKey(hmac(key, part)),
    root,
  );
}

export function hmac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}
