/** The set that a snapshot was made in, and the moment that it shows: for whoever made it, as soon as that is past. */
import type { SetCut, Snapshots } from '@rokka/databases';
import type { Registry } from '@rokka/registry';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { readSnapshots } from './snapshot-facts.ts';
import { snapshotState } from './status.ts';

export interface SnapshotSetFacts {
  /** `set-…` */
  readonly set: string;
  /** Undefined before the moment; after a failure another one may come. */
  readonly cut: SetCut | undefined;
  /** `completed` when all of them are copied, `error` when one will never be. */
  readonly state: 'pending' | 'completed' | 'error';
}

/**
 * @param of.snapshot `snap-…`, in this account and region
 * @returns undefined where there is none, or it is in no set
 */
export async function setOfSnapshot(
  { registry, snapshots }: { registry: Registry; snapshots: Snapshots },
  of: { scope: Scope; snapshot: string },
): Promise<SnapshotSetFacts | undefined> {
  const store = new RecordStore({ registry, service: 'ec2' });
  const all = await readSnapshots({ store, snapshots }, of.scope);
  const found = all.find(({ record }) => record.id === of.snapshot);
  if (!found?.set) return undefined;
  const { id } = found.set;
  const states = all.filter(({ set }) => set?.id === id).map(snapshotState);
  const open = states.find((each) => each !== 'completed');
  const state = states.includes('error') ? 'error' : (open ?? 'completed');
  return { set: id, cut: found.kept?.cut ?? (await snapshots.cutOf(id)), state };
}
