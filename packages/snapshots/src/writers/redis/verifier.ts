/** Whether Redis or Valkey loads restored append-only files and dumps whole. */
import type { Verifier } from '../../verifier.ts';
import { snapshotErrors } from '../../errors.ts';
import { verdictsOn } from '../restored-copies.ts';
import { findRedis } from './copies.ts';
import { startRestoredRedis } from './restored.ts';

export interface RedisVerifierOptions {
  /** Without it, where distributions have it. The owner of the copy must be able to run it. */
  readonly program?: string;
}

export function redisVerifier(programs: RedisVerifierOptions = {}): Verifier {
  return {
    name: 'redis',
    async verify(options) {
      const { signal } = options;
      return verdictsOn(await findRedis(options), options, async (copy) => {
        if (copy.fault !== undefined) throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([copy.what, copy.fault]);
        await using restored = await startRestoredRedis({ ...programs, copy, volumes: options, signal });
        return { faults: [], seen: `it loads whole, with ${restored.keys} keys` };
      });
    },
  };
}
