/**
 * Where restored volumes have what a Redis or Valkey server keeps: by names, since the settings are not the copy's to say. Whether it would load
 * the append-only file or the dump is one of them, so each is a copy of its own.
 */
import * as path from 'node:path';
import type { VerifyOptions } from '../../verifier.ts';
import { searchDirectories } from '../directory-search.ts';
import { obeying } from '../obeying.ts';
import { placeVolumes } from '../placement.ts';
import { readPlainFile } from '../plain-file.ts';

export interface RedisCopy {
  readonly what: string;
  readonly kind: 'log' | 'dump';
  /** The server's working directory. */
  readonly directory: string;
  /** A file, or the directory with a log: of whom it all is. */
  readonly owned: string;
  readonly isDirectory: boolean;
  /** Settings that say how it is called. */
  readonly settings: readonly string[];
  /** Why it is not started. */
  readonly fault?: string;
}

const DUMP = 'dump.rdb';
const LOG_DIRECTORY = 'appendonlydir';
const LOG_PART = /^(.+)\.\d+\.(?:base|incr)\.(?:rdb|aof)$/;
const MANIFEST = /^(.+)\.manifest$/;
/** One that was not finished, and is not loaded. */
const UNFINISHED = /^temp-/;
const MAGIC = /^(?:REDIS|VALKEY)\d/;

export async function findRedis({ mountPoints, signal }: VerifyOptions): Promise<RedisCopy[]> {
  const mounted = mountPoints.map((mountPoint) => ({ mountPoint }));
  const copies: RedisCopy[] = [];
  for (const volume of await placeVolumes(mounted, signal))
    for await (const { path: directory, files } of searchDirectories(volume, { signal })) {
      copies.push(...copiesIn(directory, files));
      for (const file of files)
        if (maybeDump(file) && (await obeying(isDump(path.join(directory, file)), signal)))
          copies.push(dumpIn(directory, file));
    }
  return copies;
}

/** Those that are known by their names alone. */
export function copiesIn(directory: string, files: readonly string[]): RedisCopy[] {
  const copies: RedisCopy[] = [];
  const parts = new Set(files.flatMap((file) => LOG_PART.exec(file)?.[1] ?? []));
  for (const name of parts) {
    const isWhole = files.includes(`${name}.manifest`);
    copies.push(
      logIn(directory, name, isWhole ? undefined : `it has no ${name}.manifest, so its order is lost`),
    );
  }
  for (const file of files) {
    const name = MANIFEST.exec(file)?.[1] ?? '';
    if (name.endsWith('.aof') && !parts.has(name))
      copies.push(logIn(directory, name, 'all its files are missing'));
    // Before version 7 it was one file.
    if (file.endsWith('.aof') && !LOG_PART.test(file) && !UNFINISHED.test(file))
      copies.push(oldLogIn(directory, file));
  }
  if (files.includes(DUMP)) copies.push(dumpIn(directory, DUMP));
  if (files.includes(LOG_DIRECTORY)) copies.push(fileInsteadOfLog(directory));
  return copies;
}

function logIn(directory: string, name: string, fault: string | undefined): RedisCopy {
  return {
    what: `Redis's append-only file at ${path.join(directory, name)}`,
    kind: 'log',
    directory: path.dirname(directory),
    owned: directory,
    isDirectory: true,
    settings: ['--appenddirname', path.basename(directory), '--appendfilename', name],
    ...(fault !== undefined && { fault }),
  };
}

function oldLogIn(directory: string, name: string): RedisCopy {
  const file = path.join(directory, name);
  const settings = ['--appendfilename', name];
  return { ...logFile(file), settings };
}

function fileInsteadOfLog(directory: string): RedisCopy {
  const fault = 'it is a file, where a directory should be';
  return { ...logFile(path.join(directory, LOG_DIRECTORY)), settings: [], fault };
}

const logFile = (file: string) => ({
  what: `Redis's append-only file at ${file}`,
  kind: 'log' as const,
  directory: path.dirname(file),
  owned: file,
  isDirectory: false,
});

function dumpIn(directory: string, name: string): RedisCopy {
  const file = path.join(directory, name);
  return {
    what: `Redis's dump at ${file}`,
    kind: 'dump',
    directory,
    owned: file,
    isDirectory: false,
    settings: ['--dbfilename', name],
  };
}

/** The name may be any, and others' files have the same ending. */
function maybeDump(file: string): boolean {
  return file.endsWith('.rdb') && file !== DUMP && !LOG_PART.test(file) && !UNFINISHED.test(file);
}

async function isDump(file: string): Promise<boolean> {
  return MAGIC.test((await readPlainFile(file).catch(() => undefined)) ?? '');
}
