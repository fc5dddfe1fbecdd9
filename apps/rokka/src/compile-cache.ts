/**
 * Compiled code, kept from one start to the next: two thirds of the time that a process of ours takes to start is spent on
 * stripping types and compiling. Node itself writes what it has compiled only at an orderly exit, and ours are made to be
 * killed, so each writes when it is ready.
 */
import * as fs from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import * as path from 'node:path';

/** Variables for a child process. A directory that a person has chosen for all Node programs stays. */
export function compileCacheEnvironment(dataDirectory: string): Record<string, string> {
  return { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? compileCacheDirectory(dataDirectory) };
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
