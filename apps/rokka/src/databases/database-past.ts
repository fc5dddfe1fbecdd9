/** What `rokka database` asks of the past: snapshots, and databases that begin at a point of another one's history. */
import { type ObjectStore, pointAt, spanOf } from '@rokka/archive';
import { isCoded, type Lsn, unreachable, type VolumeId } from '@rokka/kernel';
import {
  databaseErrors,
  type DatabaseEngine,
  type DatabaseRecord,
  type Databases,
  makeCheckpointEarly,
  type NewDatabase,
  type SnapshotRecord,
  type Snapshots,
} from '@rokka/databases';
import { rokkaErrors } from '../errors.ts';
import type { Connection } from '../processes/engine.ts';
import type { Head } from './database-unit.ts';

/** A snapshot; or a database, at a wall time or as it is now. */
export type RestorePoint =
  | { readonly snapshot: string }
  | { readonly database: string; readonly atMs?: number };

export type PastRequest =
  | { readonly action: 'snapshots' }
  | { readonly action: 'snapshot'; readonly name: string }
  | { readonly action: 'forget'; readonly snapshot: string }
  | {
      readonly action: 'restore';
      readonly database: Omit<NewDatabase, 'engine' | 'source' | 'password'>;
      readonly from: RestorePoint;
      /** Whether all of it is brought to the storage nodes. */
      readonly materialise: boolean;
    };

export interface PastAnswer {
  readonly snapshots: readonly SnapshotRecord[];
  /** The one that was asked for. */
  readonly made?: SnapshotRecord;
}

export interface PastOptions {
  readonly databases: Databases;
  readonly snapshots: Snapshots;
  readonly store: ObjectStore;
  /** The superuser's password that shall be. */
  passwordOf(database: string): Promise<string | undefined>;
  /** Of its server, while it has one. */
  connection(database: string): Connection | undefined;
  head(database: string): Head | undefined;
  /** All of a volume that nobody has opened since its head ended in good order. */
  endOf(volume: VolumeId): Promise<Lsn | undefined>;
}

const ARCHIVE_MS = 30_000;

/** @throws DATABASE_NONE, DATABASE_NO_ARCHIVE, DATABASE_NO_SNAPSHOT, ROKKA_NO_POINT, and what `Databases.create` throws */
export async function operatePast(request: PastRequest, of: PastOptions): Promise<PastAnswer> {
  const { databases, snapshots } = of;
  let made: SnapshotRecord | undefined;
  switch (request.action) {
    case 'snapshots':
      break;
    case 'snapshot':
      made = await snapshots.request(await databases.get(request.name));
      break;
    case 'forget':
      await snapshots.get(request.snapshot);
      await snapshots.remove(request.snapshot);
      break;
    case 'restore': {
      const { password, ...point } = await resolve(request.from, of);
      const { archive, lsn, ...rest } = point;
      const { materialise } = request;
      const { name } = await databases.create({
        ...rest,
        ...request.database,
        source: { archive, lsn, materialise },
        ...(password !== undefined && { password }),
      });
      await demandKept(name, { ...request.from, archive }, of);
      break;
    }
    default:
      return unreachable(request);
  }
  return { snapshots: await snapshots.list(), ...(made && { made }) };
}

/** What a database needs to begin there. */
interface Beginning {
  readonly archive: DatabaseRecord['volumeId'];
  readonly lsn: Lsn;
  readonly engine: DatabaseEngine;
  readonly databaseName: string;
  readonly userName: string;
  readonly password: string | undefined;
}

async function resolve(from: RestorePoint, of: PastOptions): Promise<Beginning> {
  if ('snapshot' in from) {
    const { name, phase, lsn, volumeId, engine, databaseName, userName } = await of.snapshots.get(
      from.snapshot,
    );
    if (phase !== 'available' || lsn === undefined) throw rokkaErrors.ROKKA_SNAPSHOT_NOT_THERE([name, phase]);
    const password = await of.snapshots.password(name);
    return { archive: volumeId, lsn, engine, databaseName, userName, password };
  }
  const record = await of.databases.get(from.database);
  const { volumeId, engine, databaseName, userName, name } = record;
  const lsn = await pointOf(record, from.atMs, of);
  return { archive: volumeId, lsn, engine, databaseName, userName, password: await of.passwordOf(name) };
}

/**
 * From here on the database keeps what it begins with: if that was kept all the time, which is seen now. Else it goes again.
 * @throws DATABASE_NO_SNAPSHOT, DATABASE_NONE
 */
async function demandKept(
  name: string,
  from: RestorePoint & Pick<Beginning, 'archive'>,
  { databases, snapshots }: PastOptions,
): Promise<void> {
  try {
    if ('snapshot' in from) await snapshots.get(from.snapshot);
    else if ((await databases.get(from.database)).volumeId !== from.archive)
      throw databaseErrors.DATABASE_NONE([from.database]);
  } catch (error) {
    if (!isCoded(error, 'DATABASE_NO_SNAPSHOT') && !isCoded(error, 'DATABASE_NONE')) throw error;
    await databases.setDesired(name, 'deleted');
    throw error;
  }
}

/** Everything that is durable now; and where it is to begin as it is now, with little log to be redone. */
async function bringThere(
  head: Head,
  { record, isNow, of }: { record: DatabaseRecord; isNow: boolean; of: PastOptions },
): Promise<void> {
  const { name, engine, userName: user } = record;
  const { host, port } = of.connection(name) ?? {};
  const archive = () => head.ask('archive', ARCHIVE_MS);
  if (!isNow || engine !== 'native' || host === undefined || port === undefined)
    return void (await archive());
  // What is there already goes to the archive meanwhile.
  const login = { host, port, user, password: await of.passwordOf(name) };
  const [, isFresh] = await Promise.all([archive(), makeCheckpointEarly(login)]);
  if (isFresh) await archive();
}

/** The last point at or before that time. @throws ROKKA_NO_POINT */
async function pointOf(record: DatabaseRecord, atMs: number | undefined, of: PastOptions): Promise<Lsn> {
  const { volumeId, name } = record;
  const before = await spanOf(of.store, volumeId);
  // What is not in the archive yet, is in a moment, if somebody runs who brings it there.
  if (atMs === undefined || !before || atMs > before.last.atMs) {
    const head = of.head(name);
    if (head) await bringThere(head, { record, isNow: atMs === undefined, of });
    else if ((await of.endOf(volumeId)) === undefined)
      throw rokkaErrors.ROKKA_CHILD_AWAY([`database ${name}`]);
  }
  const span = await spanOf(of.store, volumeId);
  const point = atMs === undefined ? span?.last : await pointAt(of.store, volumeId, atMs);
  const iso = (ms: number) => new Date(ms).toISOString();
  if (!point)
    throw rokkaErrors.ROKKA_NO_POINT([
      name,
      span ? `from ${iso(span.first.atMs)} to ${iso(span.last.atMs)}` : 'nowhere',
    ]);
  return point.lsn;
}
