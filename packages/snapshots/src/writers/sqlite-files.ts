/**
 * Which SQLite databases on the volumes may be written to while a snapshot is made: those that a process has open, wherever they
 * are, and, as far as the search reaches, those with a log or a journal beside them, left by a process that ended without care.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { MountedVolume } from '../writer.ts';
import { searchDirectories } from './directory-search.ts';
import { obeying } from './obeying.ts';
import { isPlaced, placeVolumes, type PlacedVolume } from './placement.ts';
import { fileKey, openFiles, type OpenFile } from './processes.ts';
import type { Candidate } from './sqlite-helper.ts';

export interface SqliteCandidates {
  readonly found: readonly Candidate[];
  /** Open on a volume, but by no path that is known here. */
  readonly hidden: readonly OpenFile[];
}

/** With one of these a database was left in the middle of something. */
const SIBLINGS = ['-wal', '-journal'];

/** @throws what the system says of the mount points */
export async function findCandidates(
  mounted: readonly Pick<MountedVolume, 'mountPoint'>[],
  signal: AbortSignal,
): Promise<SqliteCandidates> {
  const volumes = await placeVolumes(mounted, signal);
  const found = new Map<string, Candidate>();
  const hidden = new Map<string, OpenFile>();
  const whole = new Set(volumes.filter((volume) => volume.whole).map(({ device }) => device));
  for (const file of await openFiles(new Set(volumes.map(({ device }) => device)), signal)) {
    if (await obeying(isHere(file, volumes), signal))
      found.set(file.path, { path: file.path, hasSibling: false });
    else if (whole.has(file.device)) hidden.set(file.key, file);
  }
  for (const volume of volumes)
    for await (const directory of searchDirectories(volume, { signal })) {
      for (const name of withSiblings(directory.files)) {
        const at = path.join(directory.path, name);
        found.set(at, { path: at, hasSibling: true });
      }
      if (hidden.size > 0) await obeying(uncover(directory, { hidden, found }), signal);
    }
  return { found: [...found.values()], hidden: [...hidden.values()] };
}

/** A database with all that may belong to it, whatever of it is there. Programs keep that open for writing as well. */
export function filesOf(database: string): readonly string[] {
  return [database, ...sideFilesOf(database)];
}

/** The names of files that have a log or a journal beside them. */
export function withSiblings(files: readonly string[]): readonly string[] {
  const names = new Set(files);
  return files.filter((name) => SIBLINGS.some((ending) => names.has(name + ending)));
}

/**
 * What SQLite keeps beside a database: its write-ahead log, the index of that, which all who have it open share, and its rollback journal
 * (tempfiles.html, section 2). Whoever has the lock on the database decides what happens to them. @param file its real path
 */
export function sideFilesOf(file: string): readonly string[] {
  return ['-wal', '-shm', '-journal'].map((ending) => file + ending);
}

/** It is on a volume, and its path means the same here as to the process. */
async function isHere(file: OpenFile, volumes: readonly PlacedVolume[]): Promise<boolean> {
  if (!isPlaced(volumes, file)) return false;
  return fs.lstat(file.path).then(
    (stat) => fileKey(stat) === file.key,
    () => false,
  );
}

async function uncover(
  directory: { readonly path: string; readonly files: readonly string[] },
  { hidden, found }: { hidden: Map<string, OpenFile>; found: Map<string, Candidate> },
): Promise<void> {
  for (const name of directory.files) {
    const at = path.join(directory.path, name);
    const stat = await fs.lstat(at).catch(() => undefined);
    if (!stat || !hidden.delete(fileKey(stat))) continue;
    found.set(at, found.get(at) ?? { path: at, hasSibling: false });
  }
}
