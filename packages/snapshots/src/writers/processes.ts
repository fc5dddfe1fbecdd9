/**
 * What the processes of this machine have open, from /proc (proc_pid_fd(5)). Files are told apart by device and inode, so that a
 * process in another mount namespace, where they have other paths, is seen as well. What another user's processes have open only
 * root can see.
 */
import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { obeying } from './obeying.ts';

/** Device and inode. */
export type FileKey = string;

export function fileKey({ dev, ino }: Pick<Stats, 'dev' | 'ino'>): FileKey {
  return `${dev}:${ino}`;
}

export interface OpenFile {
  readonly key: FileKey;
  readonly device: number;
  /** As the process sees it. */
  readonly path: string;
  /** Below /proc: leads to the file from here, whatever its path is. */
  readonly door: string;
}

/** Regular files that have a name, each once. */
export async function openFiles(devices: ReadonlySet<number>, signal: AbortSignal): Promise<OpenFile[]> {
  const found = new Map<FileKey, OpenFile>();
  for (const pid of await processIds(signal)) {
    const directory = `/proc/${pid}/fd`;
    const names = await obeying(
      fs.readdir(directory).catch(() => [] as string[]),
      signal,
    );
    for (const name of names) {
      const door = `${directory}/${name}`;
      const file = await obeying(look(door, devices), signal);
      if (file) found.set(file.key, file);
    }
  }
  return [...found.values()];
}

async function look(door: string, devices: ReadonlySet<number>): Promise<OpenFile | undefined> {
  try {
    const path = await fs.readlink(door);
    if (!path.startsWith('/')) return undefined;
    const stat = await fs.stat(door);
    const named = stat.isFile() && stat.nlink > 0;
    if (!named || !devices.has(stat.dev)) return undefined;
    return { key: fileKey(stat), device: stat.dev, path, door };
  } catch {
    // Closed, or ended, meanwhile.
    return undefined;
  }
}

export interface WorkingDirectory {
  readonly pid: number;
  readonly key: FileKey;
  /** As the process sees it. */
  readonly path: string;
  /** The process runs as whom the directory belongs to. */
  readonly isOwners: boolean;
}

/** Of the processes with one of these names (proc_pid_comm(5)) that may be looked at. */
export async function workingDirectories(
  names: readonly string[],
  signal: AbortSignal,
): Promise<WorkingDirectory[]> {
  const found: WorkingDirectory[] = [];
  for (const pid of await processIds(signal)) {
    const at = await obeying(workingDirectory(pid, names), signal);
    if (at) found.push(at);
  }
  return found;
}

async function workingDirectory(
  pid: number,
  names: readonly string[],
): Promise<WorkingDirectory | undefined> {
  try {
    const name = (await fs.readFile(`/proc/${pid}/comm`, 'utf8')).trim();
    if (!names.includes(name)) return undefined;
    const door = `/proc/${pid}/cwd`;
    const stat = await fs.stat(door);
    // Not the owner of /proc/PID: that is root where a process is not dumpable.
    const uid = /^Uid:\t\d+\t(\d+)/m.exec(await fs.readFile(`/proc/${pid}/status`, 'latin1'))?.[1];
    const isOwners = Number(uid) === stat.uid;
    return { pid, key: fileKey(stat), path: await fs.readlink(door), isOwners };
  } catch {
    return undefined;
  }
}

export async function processIds(signal: AbortSignal): Promise<number[]> {
  const names = await obeying(fs.readdir('/proc'), signal);
  return names.map(Number).filter((pid) => Number.isInteger(pid));
}
