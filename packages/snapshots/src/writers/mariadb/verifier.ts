/** Whether MariaDB starts on restored data directories, has nothing in doubt, and finds all its tables whole. */
import type { Verifier } from '../../verifier.ts';
import { snapshotErrors } from '../../errors.ts';
import { type Tried, verdictsOn } from '../restored-copies.ts';
import { findMariadb } from './copies.ts';
import { type RestoredMariadb, startRestoredMariadb } from './restored.ts';

export interface MariadbVerifierOptions {
  /** Without it, where distributions have it. The owner of the copy must be able to run it. */
  readonly program?: string;
}

export function mariadbVerifier(programs: MariadbVerifierOptions = {}): Verifier {
  return {
    name: 'mariadb',
    async verify(options) {
      const { signal } = options;
      return verdictsOn(await findMariadb(options), options, async (copy) => {
        if (copy.fault !== undefined) throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([copy.what, copy.fault]);
        await using restored = await startRestoredMariadb({ ...programs, copy, volumes: options, signal });
        return triedOf(restored);
      });
    },
  };
}

function triedOf({ innodb, prepared, tables, faults }: Omit<RestoredMariadb, keyof AsyncDisposable>): Tried {
  const doubts = prepared === 0 ? [] : [`${prepared} transactions are in doubt: XA RECOVER names them`];
  const redone = innodb ? innodb.toLsn - innodb.fromLsn : 0;
  const after = `after ${redone} bytes of InnoDB's log, and ${innodb?.rolledBack ?? 0} transactions rolled back`;
  return { faults: [...doubts, ...faults], seen: `it starts, ${after}; ${tables} tables were checked` };
}
