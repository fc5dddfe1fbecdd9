/**
 * Programs that write on volumes and that no writer speaks for, from /proc. They are why a snapshot is not called consistent for
 * applications although every writer was well: somebody else's files may be in the middle of something.
 *
 * Whether a file is on a volume its device says, for names say nothing of programs in other mount namespaces, as in containers. Whether a
 * writer speaks for it its name says: so what a writer found in a container is told here as well, rather once too often.
 *
 * Seen are files that are open for writing. A program that opens a file only now and then is seen only when it does.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { Component, MountedVolume } from './writer.ts';
import { obeying } from './writers/obeying.ts';
import { isBelow, placeVolumes, type PlacedVolume } from './writers/placement.ts';
import { processIds } from './writers/processes.ts';

/** Of an open file description, as in `fcntl.h`. */
const ACCESS_MODE = 0o3;
const STRAYS_MAX = 20;

export interface StraysOptions {
  readonly volumes: readonly MountedVolume[];
  readonly components: readonly Component[];
  readonly signal: AbortSignal;
}

export interface Stray {
  readonly pid: number;
  /** `name (pid 123), which writes PATH` */
  readonly words: string;
}

/** @returns their words, up to STRAYS_MAX of them, one a program */
export async function straysOn(options: StraysOptions): Promise<string[]> {
  const strays = await strayProcesses(options, STRAYS_MAX);
  return strays.map(({ words }) => words);
}

/** Names of programs and of files, and what programs say, are anybody's text, and may have lines and control characters in them. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
}

/** All of them, unless it is said how many are enough. */
export async function strayProcesses(options: StraysOptions, most = Infinity): Promise<Stray[]> {
  const { signal } = options;
  const strays: Stray[] = [];
  const placed = await placeVolumes(options.volumes, signal);
  for (const pid of await processIds(signal)) {
    if (strays.length >= most) break;
    const process = `/proc/${pid}`;
    // A file on a hung file system must not hold up everybody who is frozen.
    const what = await obeying(firstStray(process, { ...options, placed }), signal);
    if (what === undefined) continue;
    const name = await fs.readFile(path.join(process, 'comm'), 'utf8').catch(() => 'a program');
    strays.push({ pid, words: oneLine(`${name.trim()} (pid ${pid}), which ${what}`) });
  }
  return strays;
}

/** Undefined too where the program has ended meanwhile. */
async function firstStray(
  process: string,
  { placed, components }: StraysOptions & { placed: readonly PlacedVolume[] },
): Promise<string | undefined> {
  const isOnVolume = (file: string, device: number) =>
    placed.some((volume) => device === volume.device && (volume.whole || isBelow(volume.root, file)));
  const isKnown = (file: string) =>
    components.some(({ paths }) => paths.some((known) => isBelow(known, file)));
  const open = await fs.readdir(path.join(process, 'fd')).catch(({ code }: NodeJS.ErrnoException) => code);
  if (open === 'EACCES') return 'cannot be looked into';
  for (const fd of Array.isArray(open) ? open : []) {
    const at = path.join(process, 'fd', fd);
    const device = await fs.stat(at).then(
      ({ dev }) => dev,
      () => undefined,
    );
    const file = await fs.readlink(at).catch(() => '');
    if (device === undefined || !isOnVolume(file, device) || isKnown(file)) continue;
    const facts = await fs.readFile(path.join(process, 'fdinfo', fd), 'utf8').catch(() => '');
    if (writes(facts)) return `writes ${file}`;
  }
  return undefined;
}

/** `flags:` of proc(5), in octal. */
function writes(fdinfo: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(fdinfo);
  return flags !== null && (Number.parseInt(flags[1], 8) & ACCESS_MODE) !== 0;
}
