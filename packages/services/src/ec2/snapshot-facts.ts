/** Snapshots with their kept points, whether a snapshot has a record of its own or is in that of a set. */
import type { SnapshotRecord as KeptRecord, Snapshots } from '@rokka/databases';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import {
  type ImageRecord,
  recordKeys,
  recordPrefixes,
  type SnapshotRecord,
  type SnapshotSetRecord,
} from './ec2-records.ts';

export interface SnapshotFacts {
  readonly record: SnapshotRecord;
  readonly kept: KeptRecord | undefined;
  /** That it is in. */
  readonly set?: SetFacts;
}

interface SetFacts {
  readonly id: string;
  readonly size: number;
  readonly failure?: string;
  /** Whether all of them are there, or will never be. */
  readonly isFinished: boolean;
  /** The image that they were made for. */
  readonly image?: ImageRecord;
}

type Read = { readonly store: RecordStore; readonly snapshots: Snapshots };

/** In the order of their ids. */
export async function readSnapshots({ store, snapshots }: Read, scope: Scope): Promise<SnapshotFacts[]> {
  const records = await store.list<SnapshotRecord>(recordPrefixes.snapshots(scope));
  const sets = await store.list<SnapshotSetRecord>(recordPrefixes.sets(scope));
  if (records.length + sets.length === 0) return [];
  const kept = new Map((await snapshots.list()).map((each) => [each.name, each]));
  const factsOf = (record: SnapshotRecord) => ({ record, kept: kept.get(record.kept) });
  const inSets = sets.flatMap(({ id, size, failure, members, image }) => {
    const isFinished = members.every((member) => isSettled(member, failure, kept.get(member.kept)));
    const set: SetFacts = {
      id,
      size,
      ...(failure !== undefined && { failure }),
      isFinished,
      ...(image && { image }),
    };
    return members.map((record) => ({ ...factsOf(record), set }));
  });
  return [...records.map(factsOf), ...inSets].sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
}

function isSettled(member: SnapshotRecord, failure: string | undefined, kept: KeptRecord | undefined) {
  if (failure !== undefined || member.failure !== undefined || member.completedAtMs !== undefined)
    return true;
  return kept !== undefined && kept.phase !== 'creating';
}

/**
 * One write of the record that it is in. Undefined removes it, and a set with its last member.
 * @returns whether this call has changed something
 */
export async function changeSnapshot(
  store: RecordStore,
  scope: Scope,
  of: { facts: SnapshotFacts; change: (found: SnapshotRecord) => SnapshotRecord | undefined },
): Promise<boolean> {
  const { record, set } = of.facts;
  if (!set) {
    const key = recordKeys.snapshot(scope, record.id);
    return (await store.change<SnapshotRecord>(key, (found) => found && of.change(found))).changed;
  }
  const { changed } = await store.change<SnapshotSetRecord>(recordKeys.set(scope, set.id), (found) => {
    const member = found?.members.find(({ id }) => id === record.id);
    if (!found || !member) return found;
    const next = of.change(member);
    if (next === member) return found;
    const members = found.members.flatMap((each) => (each !== member ? each : (next ?? [])));
    return members.length === 0 ? undefined : { ...found, members };
  });
  return changed;
}

/** Nobody sees one that is deleted, or that was made for an image which does not count yet. */
export const isShown = ({ record, set }: SnapshotFacts) => !record.deleted && !set?.image?.unconfirmed;
