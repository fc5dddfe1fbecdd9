/**
 * Looks through a volume for what an application has left there. Bounded in depth and in entries, because a volume may have
 * millions of files: what lies further is not found, and what runs is found by its process anyway. Symbolic links are not
 * followed, other mounts not entered, directories that may not be read are passed over.
 */
import type { Dirent } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { obeying } from './obeying.ts';
import type { PlacedVolume } from './placement.ts';

export interface SearchLimits {
  readonly depthMax: number;
  readonly entriesMax: number;
}

export const SEARCH_LIMITS: SearchLimits = { depthMax: 8, entriesMax: 200_000 };

export interface SearchedDirectory {
  readonly path: string;
  readonly files: readonly string[];
}

/** Nearest directories first, so that the limit takes what lies deepest. */
export async function* searchDirectories(
  volume: PlacedVolume,
  options: { signal: AbortSignal; limits?: SearchLimits },
): AsyncGenerator<SearchedDirectory> {
  const { signal, limits = SEARCH_LIMITS } = options;
  let left = limits.entriesMax;
  let level = [volume.root];
  for (let depth = 0; depth <= limits.depthMax && level.length > 0; depth++) {
    const next: string[] = [];
    for (const directory of level) {
      const entries = await obeying(entriesOf(directory, { device: volume.device, left }), signal);
      left -= entries.length;
      const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
      yield { path: directory, files };
      for (const entry of entries) if (entry.isDirectory()) next.push(path.join(directory, entry.name));
      if (left <= 0) return;
    }
    level = next;
  }
}

async function entriesOf(directory: string, bounds: { device: number; left: number }): Promise<Dirent[]> {
  const entries: Dirent[] = [];
  try {
    if ((await fs.lstat(directory)).dev !== bounds.device) return [];
    for await (const entry of await fs.opendir(directory)) {
      entries.push(entry);
      if (entries.length >= bounds.left) break;
    }
  } catch {
    // Not allowed, or gone meanwhile.
  }
  return entries;
}
