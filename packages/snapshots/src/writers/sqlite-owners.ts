/**
 * As whom a SQLite database is opened, for writing: as its owner. Whoever may write beside a database has a journal or a log there that
 * changes other files than this one, so nobody opens it who may do more than he may.
 */
import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { obeying } from './obeying.ts';
import { sideFilesOf } from './sqlite-files.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Owned {
  readonly owner: Owner;
  readonly paths: readonly string[];
}

export interface Refusal {
  readonly path: string;
  readonly why: string;
}

const STICKY = 0o1000;
/** Each has a process of its own. */
const OWNERS_MAX = 16;

export async function byOwner(
  files: readonly string[],
  signal: AbortSignal,
): Promise<{ owned: readonly Owned[]; refused: readonly Refusal[] }> {
  const groups = new Map<string, { owner: Owner; paths: string[] }>();
  const refused: Refusal[] = [];
  for (const file of files) {
    const owner = await obeying(ownerOf(file), signal);
    const key = typeof owner === 'string' ? '' : `${owner.uid}:${owner.gid}`;
    const group = groups.get(key);
    if (typeof owner === 'string') refused.push({ path: file, why: owner });
    else if (group) group.paths.push(file);
    else if (groups.size < OWNERS_MAX) groups.set(key, { owner, paths: [file] });
    else refused.push({ path: file, why: `databases of ${OWNERS_MAX} other owners are held already` });
  }
  return { owned: [...groups.values()], refused };
}

/** Or why it is not opened. */
async function ownerOf(file: string): Promise<Owner | string> {
  try {
    const stat = await fs.lstat(file);
    if (!stat.isFile()) return 'it is no regular file';
    if (stat.nlink > 1) return 'it has more than one name (a hard link), so its journal may be another one';
    const away = await sideFileElsewhere(file, stat);
    if (away !== undefined)
      return `${away} leads elsewhere, so a copy of it is not whole: have it in the directory of its database`;
    const above = stat.uid === 0 && process.getuid?.() === 0 ? await notOfRoot(file) : undefined;
    if (above === undefined) return { uid: stat.uid, gid: stat.gid };
    return `it belongs to root in ${above}, where somebody else may write: chown it to whom it is of`;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * A side file that is a link, or another mount. SQLite follows it (os_unix.c, unixOpen): what it leads to may be on no volume of the
 * snapshot, and whoever opens a copy would write to that of the original.
 */
async function sideFileElsewhere(file: string, { dev }: Stats): Promise<string | undefined> {
  for (const side of sideFilesOf(file)) {
    const stat = await fs.lstat(side).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (stat && (!stat.isFile() || stat.dev !== dev)) return side;
  }
  return undefined;
}

/** The nearest directory above in which others than root could put something in the place of what root reads. */
async function notOfRoot(file: string): Promise<string | undefined> {
  for (let child = file; child !== '/'; child = path.dirname(child)) {
    const directory = path.dirname(child);
    // In a sticky directory nobody replaces what is root's, but anybody adds a journal.
    const stat = await fs.lstat(directory);
    if (stat.uid !== 0) return directory;
    if (othersWrite(stat) && (child === file || (stat.mode & STICKY) === 0)) return directory;
  }
  return undefined;
}

function othersWrite({ mode, gid }: Stats): boolean {
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
}
