/**
 * The keys of this machine's roles, kept between steps: each call of `instanceCredentials` makes a new session, and places for sessions are
 * limited.
 *
 * They are kept for five minutes at most, so that a role or an association that was taken away counts soon; and never into their last ten, so that
 * whoever is given them can begin something. That there are none is not kept.
 */
import type { Clock } from '@rokka/kernel';
import type { InstanceCredentials, NoCredentials } from '@rokka/services';
import { rokkaErrors } from '../errors.ts';

const KEPT_MS_MAX = 5 * 60_000;
/** More than the SDK's clients want to be left, who would ask again and again otherwise. */
const LEFT_MS_MIN = 10 * 60_000;

/** Whose keys. */
export interface KeysOf {
  readonly account: string;
  readonly region: string;
  /** `i-…`. */
  readonly instance: string;
}

export interface InstanceKeysOptions {
  readonly clock: Clock;
  /** Makes a session. */
  make(of: KeysOf): Promise<InstanceCredentials | NoCredentials>;
}

interface Kept {
  readonly sinceMs: number;
  readonly keys: Promise<InstanceCredentials>;
  /** Undefined while they are being made: who asks meanwhile waits for the same. */
  expiresMs: number | undefined;
}

export class InstanceKeys {
  readonly #options: InstanceKeysOptions;
  readonly #kept = new Map<string, Kept>();

  constructor(options: InstanceKeysOptions) {
    this.#options = options;
  }

  /** @throws ROKKA_NO_INSTANCE_KEYS; errors of whoever makes them */
  async get(of: KeysOf): Promise<InstanceCredentials> {
    for (const [name, kept] of this.#kept) if (!this.#isFresh(kept)) this.#kept.delete(name);
    const name = [of.account, of.region, of.instance].join('/');
    const found = this.#kept.get(name);
    if (found) return found.keys;
    const made: Kept = {
      sinceMs: this.#options.clock.nowMs(),
      keys: this.#make(of),
      expiresMs: undefined,
    };
    this.#kept.set(name, made);
    try {
      const keys = await made.keys;
      made.expiresMs = keys.expiration.getTime();
      return keys;
    } catch (error) {
      if (this.#kept.get(name) === made) this.#kept.delete(name);
      throw error;
    }
  }

  async #make(of: KeysOf): Promise<InstanceCredentials> {
    const keys = await this.#options.make(of);
    if ('missing' in keys) throw rokkaErrors.ROKKA_NO_INSTANCE_KEYS([keys.missing]);
    return keys;
  }

  #isFresh({ sinceMs, expiresMs = Infinity }: Kept): boolean {
    const { clock } = this.#options;
    return clock.nowMs() - sinceMs < KEPT_MS_MAX && expiresMs - clock.wallMs() > LEFT_MS_MIN;
  }
}
