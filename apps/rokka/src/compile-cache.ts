/**
 * Compiled code, kept from one start to the next: two thirds of the time that a process of ours takes to start is spent on
 * stripping types and compiling. Node itself writes what it has compiled only at an orderly exit, and ours are made to be
 * killed, so each writes when it is ready.
 */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import * as path from 'node:path';

const COMPILING_MS_MAX = 10_000;

/** Garbage of nodes and of the gateway is short-lived: a small nursery holds it as well, and spares each of them some 25 MiB. */
export const NODE_FLAGS = ['--max-semi-space-size=4'];

/** Variables for a child process. A directory that a person has chosen for all Node programs is used. */
export function compileCacheEnvironment(dataDirectory: string): { NODE_COMPILE_CACHE: string } {
  return { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? compileCacheDirectory(dataDirectory) };
}

/**
 * The first time on a data directory a process compiles for those that follow, and ends: who has compiled keeps 30 MiB of the
 * compiler's. Where it fails, each of them compiles for itself. When the signal is given it is ended, and another time begins again.
 */
export async function compileAhead(of: {
  program: 'node' | 'gateway';
  dataDirectory: string;
  signal?: AbortSignal;
}): Promise<void> {
  const { program, signal } = of;
  const environment = compileCacheEnvironment(of.dataDirectory);
  const mark = path.join(environment.NODE_COMPILE_CACHE, `${program}-process`);
  if (fs.existsSync(mark)) return;
  const file = `${import.meta.dirname}/processes/${program}-process.ts`;
  const options = { env: { ...process.env, ...environment }, timeout: COMPILING_MS_MAX, signal };
  await new Promise<void>((done) => execFile(process.execPath, [...NODE_FLAGS, file], options, () => done()));
  if (signal?.aborted) return;
  fs.mkdirSync(environment.NODE_COMPILE_CACHE, { recursive: true });
  fs.writeFileSync(mark, '');
}

/** For the command itself, before it loads the rest. Makes nothing: a directory without a cluster stays as it is. */
export function useCompileCache(dataDirectory: string): void {
  const directory = compileCacheDirectory(dataDirectory);
  if (fs.existsSync(directory)) enableCompileCache(directory);
}

/** Nothing is written where all of it is there already. */
export const keepCompiledCode = flushCompileCache;

function compileCacheDirectory(dataDirectory: string): string {
  return path.join(dataDirectory, 'compile-cache');
}
