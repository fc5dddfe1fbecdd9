import type { Random } from '@rokka/kernel';
import type { CallContext } from '../call-context.ts';
import type { IdentityStore } from './identity-store.ts';
import type { PolicyCache } from './policy-cache.ts';

/** What the operations of IAM and STS work on. */
export interface IdentityServices {
  readonly store: IdentityStore;
  readonly policies: PolicyCache;
  /** Makes ids and secrets: `systemRandom` outside tests. */
  readonly random: Random;
}

export interface IamContext extends CallContext, IdentityServices {}

/** What an operation answers, of the type that the SDK gives its output. */
export type Output<T> = Omit<T, '$metadata'>;
