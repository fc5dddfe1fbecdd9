/** The database's files as the head has them, below its own mount, through which it must not go: nobody would answer. */
import { isCoded, type PageNumber } from '@rokka/kernel';
import { nameFromUtf8, ROOT_INO, type FileSystem, type Ino } from '@rokka/filesystem';
import { whenReady, type PageCache } from '@rokka/volume';
import type { DatabaseFiles } from './redo-prefetch.ts';

const NAMES_AT_ONCE = 256;

interface PageRun {
  readonly block: number;
  readonly page: PageNumber;
  readonly count: number;
  readonly written: boolean;
}

export class MountedFiles implements DatabaseFiles {
  readonly #filesystem: FileSystem;
  readonly #cache: PageCache;
  readonly #directory: string;
  readonly #inos = new Map<string, Ino | undefined>();
  readonly #runs = new Map<string, readonly PageRun[]>();

  /** @param options.directory the data directory, from the root of the filesystem */
  constructor(options: { filesystem: FileSystem; cache: PageCache; directory: string }) {
    this.#filesystem = options.filesystem;
    this.#cache = options.cache;
    this.#directory = options.directory;
  }

  async names(directory: string): Promise<readonly string[]> {
    const ino = await this.#find(directory);
    const names: string[] = [];
    if (ino === undefined) return names;
    for (let cookie: number | undefined = 0; cookie !== undefined;) {
      const from: number = cookie;
      const entries = await this.#ready(() => this.#filesystem.list(ino, from, NAMES_AT_ONCE));
      names.push(...entries.map(({ name }) => name));
      cookie = entries.length < NAMES_AT_ONCE ? undefined : entries.at(-1)?.cookie;
    }
    return names;
  }

  async read(file: string, offset: number, into: Buffer): Promise<number | undefined> {
    const ino = await this.#find(file);
    return ino === undefined ? undefined : this.#ready(() => this.#filesystem.read(ino, offset, into));
  }

  async fetch(file: string, blocks: readonly number[]): Promise<void> {
    const runs = await this.#runsOf(file);
    await this.#cache.prefetch(blocks.flatMap((block) => pageAt(runs, block) ?? []));
  }

  async #runsOf(file: string): Promise<readonly PageRun[]> {
    const known = this.#runs.get(file);
    if (known) return known;
    const ino = await this.#find(file);
    const runs = ino === undefined ? [] : await this.#ready(() => this.#filesystem.pagesOf(ino));
    this.#runs.set(file, runs);
    return runs;
  }

  /** By its path from the data directory. */
  async #find(file: string): Promise<Ino | undefined> {
    if (this.#inos.has(file)) return this.#inos.get(file);
    let ino: Ino | undefined = ROOT_INO;
    for (const name of `${this.#directory}/${file}`.split('/')) {
      const parent: Ino = ino;
      ino = await this.#lookup(parent, name);
      if (ino === undefined) break;
    }
    this.#inos.set(file, ino);
    return ino;
  }

  async #lookup(parent: Ino, name: string): Promise<Ino | undefined> {
    try {
      const { ino } = await this.#ready(() => this.#filesystem.lookup(parent, nameFromUtf8(name)));
      return ino;
    } catch (error) {
      if (isCoded(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #ready<T>(operation: () => T): Promise<T> {
    return whenReady(this.#cache, operation);
  }
}

/** The page of a block that was ever written. */
function pageAt(runs: readonly PageRun[], block: number): PageNumber | undefined {
  let low = 0;
  for (let high = runs.length; low < high;) {
    const middle = (low + high) >> 1;
    if (runs[middle].block + runs[middle].count <= block) low = middle + 1;
    else high = middle;
  }
  const run = runs[low];
  if (run === undefined || run.block > block || !run.written) return undefined;
  return (run.page + block - run.block) as PageNumber;
}
