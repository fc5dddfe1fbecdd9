/** Expired sessions are removed a bounded number at a time: of one shard whenever a session is made in it, or of all. */
import type { Clock } from '@rokka/kernel';
import { sessionShardPrefix } from '../iam/documents.ts';
import type { IdentityStore } from '../iam/identity-store.ts';
import { ID_LETTERS } from '../iam/unique-ids.ts';

const REMOVALS_MAX = 64;

interface Swept {
  readonly store: IdentityStore;
  readonly clock: Clock;
}

/** @returns how many sessions are left in the shard */
export function sweepShard({ store, clock }: Swept, shard: string): Promise<number> {
  return store.sweepExpired(sessionShardPrefix(shard), clock.wallMs(), REMOVALS_MAX);
}

/** @returns how many sessions are left */
export async function sweepSessions(swept: Swept): Promise<number> {
  let left = 0;
  for (const shard of ID_LETTERS) left += await sweepShard(swept, shard);
  return left;
}
