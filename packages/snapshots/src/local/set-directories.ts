/**
 * Where copies lie: beside the file that they are of, on the same file system, in directories that belong to root alone.
 *
 *     DIRECTORY/.rokka-snapshots/SET.new/…      being made, or being removed
 *     DIRECTORY/.rokka-snapshots/SET/           one set's copies, named as their originals
 *     DIRECTORY/.rokka-snapshots/SET/set.json   what they are; the same in each directory of the set
 *
 * A set whose originals lie in several directories is whole or not there: every `set.json` is written before the first directory gets its
 * name, and names all directories. So whoever finds a `.new` with a `set.json` knows what else of it must go.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import { LEVELS, type Level } from '../writer.ts';

export interface SetRecord {
  readonly version: 1;
  readonly id: string;
  /** In words, as ISO 8601 has it. */
  readonly at: string;
  /** What all of the set is worth, with the snapshots that were made at the same moment. */
  readonly level: Level;
  readonly fileSystems: readonly CopiedFileSystem[];
}

export interface CopiedFileSystem {
  readonly mountPoint: string;
  /** `ext4`, `xfs` */
  readonly type: string;
  /** `/dev/loop3`, as it was called then. */
  readonly device: string;
  readonly bytes: number;
  readonly original: string;
  readonly copy: string;
}

const STORE = '.rokka-snapshots';
export const UNFINISHED = '.new';
export const RECORD = 'set.json';
const SET_ID = /^\d{8}T\d{6}Z-[0-9a-f]{8}$/;

export const storeOf = (original: string): string => path.join(path.dirname(original), STORE);

/** Sorts by time. */
export function setIdOf(wallMs: number, hex: string): string {
  const [at] = new Date(wallMs).toISOString().replaceAll(/[-:]/g, '').split('.');
  return `${at}Z-${hex}`;
}

/**
 * There, and root's alone: whoever could rename a directory above it could have root write and delete elsewhere.
 * @throws SNAPSHOTS_LOCAL_STORE
 */
export async function makeStore(store: string): Promise<void> {
  for (let at = path.dirname(store); ; at = path.dirname(at)) {
    const { uid, mode } = await fs.stat(at);
    const isSticky = (mode & 0o1000) !== 0;
    if (uid !== 0 || ((mode & 0o022) !== 0 && !isSticky))
      throw snapshotErrors.SNAPSHOTS_LOCAL_STORE([at, 'it is not root that alone may write there']);
    if (at === path.dirname(at)) break;
  }
  await fs.mkdir(store, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const own = await fs.lstat(store);
  if (!own.isDirectory() || own.uid !== 0 || (own.mode & 0o077) !== 0)
    throw snapshotErrors.SNAPSHOTS_LOCAL_STORE([store, 'it is no directory of root alone']);
}

/** Removes what a process has left in these stores that was killed; `live` are the sets that are being made. */
export async function removeLeftOvers(stores: readonly string[], live: ReadonlySet<string>): Promise<void> {
  for (const store of stores)
    for (const name of await namesIn(store)) {
      const id = name.slice(0, -UNFINISHED.length);
      if (!name.endsWith(UNFINISHED) || !SET_ID.test(id) || live.has(id)) continue;
      const record = await readRecord(path.join(store, name));
      await removeSet(id, [store, ...storesOf(record)]);
    }
}

/** By their ids; those without a record that can be read are nobody's. */
export async function setsIn(stores: readonly string[]): Promise<SetRecord[]> {
  const found = new Map<string, SetRecord>();
  for (const store of stores)
    for (const name of await namesIn(store)) {
      if (!SET_ID.test(name)) continue;
      const record = await readRecord(path.join(store, name));
      if (record?.id === name) found.set(name, record);
    }
  return [...found.values()];
}

/** Until the last of it is gone it counts as being removed, in each of its directories. */
export async function removeSet(id: string, stores: readonly string[]): Promise<void> {
  const places = [...new Set(stores)].map((store) => path.join(store, id));
  for (const place of places)
    await fs.rename(place, `${place}${UNFINISHED}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  for (const place of places) await fs.rm(`${place}${UNFINISHED}`, { recursive: true, force: true });
}

/** Directories of a set, as its record names them. */
export const storesOf = (record: SetRecord | undefined): string[] => [
  ...new Set(
    (record?.fileSystems ?? [])
      .filter(({ original, copy }) => path.dirname(path.dirname(copy)) === storeOf(original))
      .map(({ original }) => storeOf(original)),
  ),
];

/**
 * Which sets go, of those that are there: the oldest, until `keep` are left. The newest one of the level `application` stays, however many
 * came after it that are worth less. Pure.
 */
export function expired(sets: readonly Pick<SetRecord, 'id' | 'level'>[], keep: number): string[] {
  const newestFirst = [...sets].sort((one, other) => (one.id < other.id ? 1 : -1));
  const best = newestFirst.find(({ level }) => level === 'application');
  const kept = newestFirst.filter((set) => set !== best).slice(0, best ? keep - 1 : keep);
  return newestFirst.filter((set) => set !== best && !kept.includes(set)).map(({ id }) => id);
}

async function namesIn(store: string): Promise<string[]> {
  return await fs.readdir(store).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

async function readRecord(directory: string): Promise<SetRecord | undefined> {
  try {
    const record = JSON.parse(await fs.readFile(path.join(directory, RECORD), 'utf8')) as SetRecord;
    const isSound =
      record.version === 1 && LEVELS.includes(record.level) && Array.isArray(record.fileSystems);
    return isSound ? record : undefined;
  } catch {
    return undefined;
  }
}
