/**
 * The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it: no channel binding; the user name in
 * the SCRAM messages is ignored in favour of the start-up packet's.
 *
 * An unknown user meets the same exchange, against keys that no password gives, and fails at its end as a wrong password
 * does: who asks cannot tell which names exist.
 */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { type Random } from '@rokka/kernel';

export const SCRAM_MECHANISM = 'SCRAM-SHA-256';
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const NONCE_BYTES = 18;

export interface ScramVerifier {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Costs some milliseconds of CPU: made once for a server, not per connection. */
export function makeScramVerifier(
  password: string,
  random: Random,
  options: { salt?: Buffer; iterations?: number } = {},
): ScramVerifier {
  const salt = options.salt ?? Buffer.from(random.hex(SALT_BYTES), 'hex');
  const iterations = options.iterations ?? ITERATIONS;
  // SASLprep as far as Unicode's own normalization goes, which is what differs between keyboards.
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  return {
    salt,
    iterations,
    storedKey: sha256(hmac(salted, 'Client Key')),
    serverKey: hmac(salted, 'Server Key'),
  };
}

/** The two steps of one exchange. Undefined from a step means: refuse the client. */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #nonceSuffix: string;
  #gs2Header = '';
  #clientFirstBare = '';
  #serverFirst = '';
  #nonce = '';

  constructor(verifier: ScramVerifier, random: Random, nonceSuffix = random.hex(NONCE_BYTES)) {
    this.#verifier = verifier;
    this.#nonceSuffix = nonceSuffix;
  }

  /** Takes client-first-message, answers server-first-message. */
  first(clientFirst: string): string | undefined {
    // Flag 'p' asks for channel binding, which was not offered; an authzid would be another user.
    const parts = /^([ny],,)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+))(?:,.*)?$/.exec(clientFirst);
    if (!parts) return undefined;
    [, this.#gs2Header] = parts;
    this.#clientFirstBare = clientFirst.slice(this.#gs2Header.length);
    this.#nonce = parts[3] + this.#nonceSuffix;
    const { salt, iterations } = this.#verifier;
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`;
    return this.#serverFirst;
  }

  /** Takes client-final-message, answers server-final-message where the proof is right. */
  final(clientFinal: string): string | undefined {
    const parts = /^(c=([^,]*),r=([^,]*)(?:,.*)?),p=([A-Za-z0-9+/=]+)$/.exec(clientFinal);
    if (!parts || this.#serverFirst === '') return undefined;
    const [, withoutProof, binding, nonce, proofText] = parts;
    if (Buffer.from(binding, 'base64').toString('latin1') !== this.#gs2Header || nonce !== this.#nonce)
      return undefined;
    const proof = Buffer.from(proofText, 'base64');
    if (proof.length !== this.#verifier.storedKey.length) return undefined;
    const authMessage = `${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`;
    const clientSignature = hmac(this.#verifier.storedKey, authMessage);
    const clientKey = Buffer.from(proof.map((byte, index) => byte ^ clientSignature[index]));
    if (!timingSafeEqual(sha256(clientKey), this.#verifier.storedKey)) return undefined;
    return `v=${hmac(this.#verifier.serverKey, authMessage).toString('base64')}`;
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
