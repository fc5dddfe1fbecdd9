/**
 * The state of a cluster (state-files.ts), copied into the filesystem of a volume: by the volume's own head, without a mount, so that it needs
 * no more rights than the data directory does.
 *
 * - Each SQLite database is copied as it is at one moment, by SQLite's own backup, while others write to it. No such file is opened by other means:
 *   closing it would drop the locks that this process has on it (sqlite.org/howtocorrupt.html §2.2).
 * - Databases come first. What they name, a secret or a certificate, was written before they named it, and so is in the copy.
 * - It is written in place. Whoever takes a point of the volume knows whether the copy is whole (databases/state-copier.ts).
 * - Owners and modes stay, so what was its owner's alone is so in the copy.
 */
import type { BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { FsError, type Ino, ROOT_INO } from '@rokka/filesystem';
import { describeError, isCoded } from '@rokka/kernel';
import { dataPaths } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import { isSqlite, isState } from '../state-files.ts';
import { StateTree, type StateTreeOptions, type Wanted } from './state-tree.ts';

export interface StateCopyOptions extends StateTreeOptions {
  /** The data directory. */
  readonly directory: string;
  /** Of the database that the copy is: no other one is written by two. */
  readonly name: string;
}

export interface StateCopied {
  readonly files: number;
  readonly bytes: number;
}

const CHUNK_BYTES = 1024 * 1024;
/** All pages in one step: under a write-ahead log one reader's view, whoever writes meanwhile. */
const ALL_PAGES = 2 ** 31 - 1;
const BUSY_MS = 5_000;
const NANOSECONDS = 1_000_000_000n;

/** Resolves when it is durable. @throws ROKKA_STATE_UNCOPIED, what the volume throws, the signal's reason */
export async function copyState(options: StateCopyOptions): Promise<StateCopied> {
  const scratch = path.join(dataPaths.stateCopies(options.directory), options.name);
  try {
    // Of one that was killed.
    await fs.rm(scratch, { recursive: true, force: true });
    await fs.mkdir(scratch, { recursive: true, mode: 0o700 });
    const run = new StateCopyRun(options, scratch);
    return await run.run();
  } catch (error) {
    const { code } = error as { code?: unknown };
    // The volume's own errors, and a signal's reason, are the head's to deal with.
    const isCopys = error instanceof FsError || (typeof code === 'string' && !isCoded(error));
    if (!isCopys) throw error;
    throw rokkaErrors.ROKKA_STATE_UNCOPIED([describeError(error)], { cause: error });
  } finally {
    await fs.rm(scratch, { recursive: true, force: true });
  }
}

class StateCopyRun {
  readonly #options: StateCopyOptions;
  readonly #scratch: string;
  readonly #tree: StateTree;
  #files = 0;
  #bytes = 0;

  constructor(options: StateCopyOptions, scratch: string) {
    this.#options = options;
    this.#scratch = scratch;
    this.#tree = new StateTree(options);
  }

  async run(): Promise<StateCopied> {
    const { directory } = this.#options;
    const root = Buffer.from(directory).toString('latin1');
    for (const name of await namesIn(root, 0)) if (isSqlite(name, 0)) await this.#database(name);
    await this.#directory(root, ROOT_INO, 0);
    await this.#tree.durable();
    return { files: this.#files, bytes: this.#bytes };
  }

  /** @param at a byte string, as names in a filesystem are */
  async #directory(at: string, ino: Ino, depth: number): Promise<void> {
    const kept = new Set<string>();
    for (const name of await namesIn(at, depth)) {
      this.#options.signal.throwIfAborted();
      const isThere =
        isSqlite(name, depth) || (await this.#entry(`${at}/${name}`, { parent: ino, name, depth }));
      if (isThere) kept.add(name);
    }
    await this.#tree.keepOnly(ino, kept);
    await this.#tree.dress(ino, wantedOf(await fs.lstat(bytesOf(at), { bigint: true })));
  }

  /** False for what is not to be copied, or was removed meanwhile. */
  async #entry(at: string, of: { parent: Ino; name: string; depth: number }): Promise<boolean> {
    const { parent, name, depth } = of;
    try {
      const stats = await fs.lstat(bytesOf(at), { bigint: true });
      const wanted = wantedOf(stats);
      if (stats.isDirectory())
        await this.#directory(at, await this.#tree.directory(parent, name, wanted), depth + 1);
      else if (stats.isFile()) await this.#file({ parent, name, from: at, wanted });
      else if (stats.isSymbolicLink()) {
        const target = await fs.readlink(bytesOf(at), { encoding: 'latin1' });
        await this.#tree.link(parent, name, { ...wanted, target });
      } else return false;
      return true;
    } catch (error) {
      if (isCoded(error) || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return false;
    }
  }

  async #database(name: string): Promise<void> {
    const from = path.join(this.#options.directory, name);
    const to = path.join(this.#scratch, name);
    const stats = await fs.lstat(from, { bigint: true });
    const source = new DatabaseSync(from, { readOnly: true, timeout: BUSY_MS });
    try {
      await backup(source, to, { rate: ALL_PAGES });
    } finally {
      source.close();
    }
    await this.#file({
      parent: ROOT_INO,
      name,
      from: Buffer.from(to).toString('latin1'),
      wanted: wantedOf(stats),
    });
    await fs.rm(to);
  }

  async #file(of: { parent: Ino; name: string; from: string; wanted: Wanted }): Promise<void> {
    const { parent, name, from, wanted } = of;
    await using handle = await fs.open(bytesOf(from));
    this.#bytes += await this.#tree.file(parent, name, { ...wanted, content: contentOf(handle) });
    this.#files += 1;
  }
}

/** Byte strings. */
async function namesIn(directory: string, depth: number): Promise<string[]> {
  const names = await fs.readdir(bytesOf(directory), { encoding: 'latin1' });
  return names.filter((name) => isState(name, depth)).sort();
}

const bytesOf = (text: string) => Buffer.from(text, 'latin1');

function wantedOf({ mode, uid, gid, mtimeNs }: BigIntStats): Wanted {
  const mtime = { seconds: Number(mtimeNs / NANOSECONDS), nanoseconds: Number(mtimeNs % NANOSECONDS) };
  return { mode: Number(mode) & 0o7777, uid: Number(uid), gid: Number(gid), mtime };
}

async function* contentOf(handle: fs.FileHandle): AsyncIterable<Uint8Array> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
