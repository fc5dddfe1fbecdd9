/** The file of an authority: JSON, owner only, replaced as a whole. Whoever can read it can make himself a member. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isCoded } from '@rokka/kernel';
import { isIdentityPart } from '@rokka/transport';
import type { SigningKey } from './certificates.ts';
import { trustErrors } from './errors.ts';
import { readOwnerFile, writeOwnerFile } from './owner-file.ts';

const FORMAT = 'rokka-authority-1';
const PHASES = ['steady', 'announced', 'switched'] as const;
export type Phase = (typeof PHASES)[number];

export interface AuthorityState {
  readonly cluster: string;
  readonly phase: Phase;
  /** Wall clock. */
  readonly phaseSinceMs: number;
  readonly lifetimeMs: number;
  readonly authorityLifetimeMs: number;
  readonly signing: SigningKey;
  /** While it is announced. */
  readonly next?: SigningKey;
  /** Certificate of the one before, while what it has signed still holds. */
  readonly previous?: string;
}

export class AuthorityFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  create(state: AuthorityState): void {
    writeOwnerFile(this.#path, encode(state), { mustBeNew: true });
  }

  replace(state: AuthorityState): void {
    writeOwnerFile(this.#path, encode(state));
  }

  read(): AuthorityState {
    const text = readOwnerFile(this.#path);
    try {
      return decode(text);
    } catch (error) {
      if (isCoded(error)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw trustErrors.TRUST_FILE_UNREADABLE([this.#path, why], { cause: error });
    }
  }
}

const encode = (state: AuthorityState): string =>
  `${JSON.stringify({ format: FORMAT, ...state }, null, 2)}\n`;

function decode(text: string): AuthorityState {
  const { format, ...state } = JSON.parse(text) as AuthorityState & { format: string };
  const must = (right: boolean, what: string) => {
    if (!right) throw new TypeError(`${what} is wrong`);
  };
  must(format === FORMAT, `its format, ${JSON.stringify(format)},`);
  must(typeof state.cluster === 'string' && isIdentityPart(state.cluster), 'the cluster');
  must(PHASES.includes(state.phase), 'the phase');
  for (const ms of [state.phaseSinceMs, state.lifetimeMs, state.authorityLifetimeMs])
    must(Number.isSafeInteger(ms) && ms > 0, 'a time');
  must((state.phase === 'announced') === (state.next !== undefined), 'the next authority');
  must((state.phase === 'switched') === (state.previous !== undefined), 'the previous authority');
  for (const { certificate, key } of [state.signing, ...(state.next ? [state.next] : [])])
    must(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)), 'a key');
  if (state.previous !== undefined) must(new X509Certificate(state.previous).ca, 'the previous authority');
  return state;
}
