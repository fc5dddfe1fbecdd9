/** Images with the snapshots that they name, whether an image has a record of its own or is in that of the set that was made for it. */
import type { Snapshots } from '@rokka/databases';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { type Claim, CLAIMS, imageNameKey } from './claims.ts';
import { type ImageRecord, recordKeys, recordPrefixes, type SnapshotSetRecord } from './ec2-records.ts';
import { readSnapshots, type SnapshotFacts } from './snapshot-facts.ts';

export interface ImageFacts {
  readonly record: ImageRecord;
  /** Of the record that it is in. */
  readonly key: string;
  /** In the order of its devices; undefined are those that are gone. */
  readonly snapshots: readonly (SnapshotFacts | undefined)[];
  /** Who has its name. */
  readonly nameHolder: string | undefined;
}

type Read = { readonly store: RecordStore; readonly snapshots: Snapshots };

/** In the order of their ids. */
export async function readImages(of: Read, scope: Scope): Promise<ImageFacts[]> {
  const { store } = of;
  const own = await store.list<ImageRecord>(recordPrefixes.images(scope));
  const sets = await store.list<SnapshotSetRecord>(recordPrefixes.sets(scope));
  const found = [
    ...own.map((record) => ({ record, key: recordKeys.image(scope, record.id) })),
    ...sets.flatMap(({ id, image }) => (image ? [{ record: image, key: recordKeys.set(scope, id) }] : [])),
  ];
  if (found.length === 0) return [];
  const holders = new Map((await store.list<Claim>(CLAIMS)).map(({ key, holder }) => [key, holder]));
  const snapshots = new Map((await readSnapshots(of, scope)).map((facts) => [facts.record.id, facts]));
  return found
    .map(({ record, key }) => ({
      record,
      key,
      snapshots: record.devices.map(({ snapshot }) => snapshots.get(snapshot)),
      nameHolder: holders.get(imageNameKey(scope, record.name)),
    }))
    .sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
}

/** Undefined where there is none of the id. */
export async function readImage(of: Read, scope: Scope, id: string): Promise<ImageFacts | undefined> {
  return (await readImages(of, scope)).find(({ record }) => record.id === id);
}

/**
 * One write of the record that it is in. Undefined takes it out; the snapshots of its set stay.
 * @returns whether this call has changed something
 */
export async function changeImage(
  store: RecordStore,
  scope: Scope,
  of: { facts: ImageFacts; change: (found: ImageRecord) => ImageRecord | undefined },
): Promise<boolean> {
  const { record, key } = of.facts;
  if (key === recordKeys.image(scope, record.id))
    return (await store.change<ImageRecord>(key, (found) => found && of.change(found))).changed;
  const { changed } = await store.change<SnapshotSetRecord>(key, (found) => {
    if (found?.image?.id !== record.id) return found;
    const next = of.change(found.image);
    if (next === found.image) return found;
    const { image: _, ...rest } = found;
    return next ? { ...rest, image: next } : rest;
  });
  return changed;
}
