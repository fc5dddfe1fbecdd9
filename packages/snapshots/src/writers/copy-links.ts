/**
 * What a copy must have in order, and be of, before a server is started on it. A server follows links, and opens whatever has a name that it
 * knows: a link that leads out of the set would have it write to what is in use, a pipe would have it wait for ever.
 *
 * Links to another volume of the set lead, on the copies, to the volumes that they show. They are made to lead to the copies first.
 */
import type { Dirent } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import { obeying } from './obeying.ts';
import { isBelow, isPlaced, placeVolumes, type PlacedVolume } from './placement.ts';
import type { CopiedVolumes } from './restored-server.ts';

const ENTRIES_MAX = 1_000_000;

export interface SoundOptions {
  /** For messages. */
  readonly what: string;
  readonly volumes: CopiedVolumes;
  readonly signal: AbortSignal;
}

/**
 * Looks at all that is below these directories, and where links lead from there.
 *
 * @throws SNAPSHOTS_RESTORED_BROKEN for the first that is amiss, once all links that can be led to the copies are
 */
export async function requireSound(roots: readonly string[], options: SoundOptions): Promise<void> {
  const { what, volumes, signal } = options;
  const placed = await placeVolumes(
    volumes.mountPoints.map((mountPoint) => ({ mountPoint })),
    signal,
  );
  const originals = volumes.originals ?? new Map<string, string>();
  const faults = await obeying(faultsIn(roots, { placed, originals, signal }), signal);
  if (faults[0] !== undefined) throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([what, faults[0]]);
}

interface Walk {
  readonly placed: readonly PlacedVolume[];
  readonly originals: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
}

async function faultsIn(roots: readonly string[], walk: Walk): Promise<string[]> {
  const faults: string[] = [];
  const seen = new Set<string>();
  const directories = [...roots];
  let entries = 0;
  for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
    const directory = await fs.realpath(at);
    if (seen.has(directory)) continue;
    seen.add(directory);
    for await (const entry of await fs.opendir(directory)) {
      walk.signal.throwIfAborted();
      if (++entries > ENTRIES_MAX) return [...faults, `it has more than ${ENTRIES_MAX} files`];
      const { leadsTo, fault } = await lookAt(path.join(directory, entry.name), entry, walk);
      if (fault !== undefined) faults.push(fault);
      if (leadsTo !== undefined) directories.push(leadsTo);
    }
  }
  return faults;
}

/** @returns the directory that it is or leads to, or what is amiss */
async function lookAt(
  file: string,
  entry: Dirent,
  walk: Walk,
): Promise<{ leadsTo?: string; fault?: string }> {
  if (entry.isDirectory()) return { leadsTo: file };
  // A socket is left over from a server that was killed; nobody can open one.
  if (entry.isFile() || entry.isSocket()) return {};
  if (!entry.isSymbolicLink()) return { fault: `${file} is neither a file nor a directory: remove it` };
  await relink(file, walk.originals);
  const target = await targetOf(file);
  const status = await fs.stat(target).catch(() => undefined);
  if (!status || !isPlaced(walk.placed, { path: target, device: status.dev }))
    return {
      fault: `a link of it leads to ${target}, which is not restored: let it lead to the restored part`,
    };
  if (status.isDirectory()) return { leadsTo: target };
  return status.isFile() ? {} : { fault: `a link of it leads to ${target}, which is no file: remove it` };
}

async function targetOf(link: string): Promise<string> {
  return fs.realpath(link).catch(async () => path.resolve(path.dirname(link), await fs.readlink(link)));
}

/** A crash in between leaves a copy that is thrown away. */
async function relink(link: string, originals: ReadonlyMap<string, string>): Promise<void> {
  const target = path.resolve(path.dirname(link), await fs.readlink(link));
  for (const [mountPoint, original] of originals) {
    if (!isBelow(original, target)) continue;
    await fs.unlink(link);
    await fs.symlink(path.join(mountPoint, path.relative(original, target)), link);
    return;
  }
}
