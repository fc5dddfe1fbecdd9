/**
 * All that is known of volumes, read at one time and in this order: volumes, claims, snapshots, databases. A volume's database has
 * been there before the wish for it was forgotten, so one that is missing then is gone.
 */
import type { DatabaseRecord, DatabaseState } from '@rokka/databases';
import { findDatabase } from '../find-database.ts';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { type Claim, CLAIMS, deviceKey, tokenKey } from './claims.ts';
import type { Ec2Context } from './ec2-context.ts';
import { recordKeys, recordPrefixes, type VolumeRecord } from './ec2-records.ts';
import { readSnapshots, type SnapshotFacts } from './snapshot-facts.ts';

export interface VolumeFacts {
  readonly volume: VolumeRecord;
  readonly database: DatabaseRecord | undefined;
  readonly state: DatabaseState | undefined;
  /** Those that show it. */
  readonly snapshots: readonly SnapshotFacts[];
  /** Who has the directory that it is, or shall be, mounted on. */
  readonly deviceHolder: string | undefined;
  /** Who has its token. */
  readonly tokenHolder: string | undefined;
}

/** Everything in an account and region. */
export interface ScopeFacts {
  /** In the order of their ids. */
  readonly volumes: readonly VolumeFacts[];
  readonly snapshots: readonly SnapshotFacts[];
}

export type Read = Pick<Ec2Context, 'databases' | 'snapshots'> & { readonly store: RecordStore };

export async function readScope(of: Read, scope: Scope): Promise<ScopeFacts> {
  const volumes = await of.store.list<VolumeRecord>(recordPrefixes.volumes(scope));
  const holders = await readHolders(of);
  const snapshots = await readSnapshots(of, scope);
  const entries = new Map((await of.databases.entries()).map((entry) => [entry.record.name, entry]));
  const facts = volumes.map((volume) => {
    const entry = entries.get(volume.id);
    return {
      volume,
      ...holdersFor(volume, scope, holders),
      snapshots: snapshots.filter(({ record }) => isOf(record, volume)),
      database: entry?.record,
      state: entry?.state,
    };
  });
  return { volumes: facts, snapshots };
}

/** Undefined where there is none of the id. */
export async function readVolume(of: Read, scope: Scope, id: string): Promise<VolumeFacts | undefined> {
  const volume = await of.store.get<VolumeRecord>(recordKeys.volume(scope, id));
  if (!volume) return undefined;
  const holders = await readHolders(of);
  const snapshots = (await readSnapshots(of, scope)).filter(({ record }) => isOf(record, volume));
  const database = await findDatabase(of.databases, id);
  const state = await of.databases.state(id);
  return { volume, ...holdersFor(volume, scope, holders), snapshots, database, state };
}

/** By the key of what they claim. */
async function readHolders({ store }: Read): Promise<Map<string, string>> {
  return new Map((await store.list<Claim>(CLAIMS)).map(({ key, holder }) => [key, holder]));
}

function holdersFor({ attachment, token }: VolumeRecord, scope: Scope, holders: ReadonlyMap<string, string>) {
  return {
    deviceHolder: attachment && holders.get(deviceKey(attachment)),
    tokenHolder: token && holders.get(tokenKey(scope, token.token)),
  };
}

const isOf = ({ volume }: SnapshotFacts['record'], { id }: VolumeRecord) => volume.id === id;
