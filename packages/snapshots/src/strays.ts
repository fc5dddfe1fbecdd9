/**
 * Programs that write on volumes and that no writer speaks for, from /proc. They are why a snapshot is not called consistent for
 * applications although every writer was well: somebody else's files may be in the middle of something.
 *
 * Seen are files that are open for writing. A program that opens a file only now and then is seen only when it does.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { Component, MountedVolume } from './writer.ts';

/** Of an open file description, as in `fcntl.h`. */
const ACCESS_MODE = 0o3;
const STRAYS_MAX = 20;

export interface StraysOptions {
  readonly volumes: readonly MountedVolume[];
  readonly components: readonly Component[];
  readonly signal: AbortSignal;
  /** `/proc`; another directory in tests. */
  readonly proc?: string;
}

/** @returns `name (pid 123) writes PATH`, up to STRAYS_MAX of them, one a program */
export async function straysOn(options: StraysOptions): Promise<string[]> {
  const { proc = '/proc', signal } = options;
  const strays: string[] = [];
  for (const pid of (await fs.readdir(proc)).filter((name) => /^\d+$/.test(name))) {
    if (strays.length >= STRAYS_MAX) break;
    signal.throwIfAborted();
    const file = await firstStray(path.join(proc, pid), options);
    if (file === undefined) continue;
    const name = await fs.readFile(path.join(proc, pid, 'comm'), 'utf8').catch(() => 'a program');
    strays.push(`${name.trim()} (pid ${pid}), which writes ${file}`);
  }
  return strays;
}

/** Undefined too where the program has ended meanwhile, or is not ours to look at. */
async function firstStray(
  process: string,
  { volumes, components }: StraysOptions,
): Promise<string | undefined> {
  const isOnVolume = (file: string) => volumes.some(({ mountPoint }) => isWithin(file, mountPoint));
  const isKnown = (file: string) =>
    components.some(({ paths }) => paths.some((known) => isWithin(file, known)));
  for (const fd of await fs.readdir(path.join(process, 'fd')).catch(() => [])) {
    const file = await fs.readlink(path.join(process, 'fd', fd)).catch(() => '');
    if (!isOnVolume(file) || isKnown(file)) continue;
    const facts = await fs.readFile(path.join(process, 'fdinfo', fd), 'utf8').catch(() => '');
    if (writes(facts)) return file;
  }
  return undefined;
}

/** `flags:` of proc(5), in octal. */
function writes(fdinfo: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(fdinfo);
  return flags !== null && (Number.parseInt(flags[1], 8) & ACCESS_MODE) !== 0;
}

const isWithin = (file: string, directory: string) =>
  file === directory || file.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
