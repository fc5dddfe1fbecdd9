/**
 * Objects as files under a directory. A file is written beside its name, synced, renamed, and its directory synced: so what has
 * a name is whole. A key's slashes are directories.
 */
import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { describeError, isCoded } from '@rokka/kernel';
import { archiveErrors } from './errors.ts';
import { inOrder, type ObjectStore, type StoredObject } from './object-store.ts';

/** What a start that was cut short leaves; never part of a key. */
const UNFINISHED = '.new';
/** Files of a directory that are looked at together. */
const LOOKS_MAX = 32;

export class DirectoryStore implements ObjectStore {
  readonly #root: string;

  /** @param root made when the first object is written, for its owner only */
  constructor(root: string) {
    this.#root = root;
  }

  put(key: string, parts: readonly Uint8Array[]): Promise<void> {
    return this.#told(`write ${key}`, async () => {
      const file = this.#fileOf(key);
      const directory = path.dirname(file);
      const made = await fs.mkdir(directory, { recursive: true, mode: 0o700 });
      const unfinished = `${file}.${randomUUID()}${UNFINISHED}`;
      try {
        await using handle = await fs.open(unfinished, 'wx', 0o600);
        for (let left = parts; left.length > 0; left = left.slice(PARTS_PER_WRITE))
          await writeAll(handle, left.slice(0, PARTS_PER_WRITE));
        await handle.sync();
        await fs.rename(unfinished, file);
      } catch (error) {
        await fs.rm(unfinished, { force: true });
        throw error;
      }
      await syncDirectory(directory);
      // The names of directories that came with it as well, from the deepest up.
      if (made !== undefined)
        for (let at = directory; at.length >= made.length; at = path.dirname(at))
          await syncDirectory(path.dirname(at));
    });
  }

  read(key: string, at: number, lengthBytes: number): Promise<Uint8Array> {
    return this.#told(`read ${key}`, async () => {
      await using handle = await this.#open(key);
      const bytes = Buffer.allocUnsafe(lengthBytes);
      for (let done = 0; done < lengthBytes;) {
        const { bytesRead } = await handle.read(bytes, done, lengthBytes - done, at + done);
        if (bytesRead === 0)
          throw archiveErrors.ARCHIVE_DAMAGED([
            key,
            `it ends at byte ${at + done}, not at ${at + lengthBytes}`,
          ]);
        done += bytesRead;
      }
      return bytes;
    });
  }

  list(prefix: string): Promise<StoredObject[]> {
    return this.#told(`list ${prefix}`, async () => {
      // A prefix may end within a name: the directory that it lies in is gone through.
      const directory = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/') + 1) : '';
      const found: StoredObject[] = [];
      await this.#gather(directory, (object) => object.key.startsWith(prefix) && found.push(object));
      return inOrder(found);
    });
  }

  remove(key: string): Promise<void> {
    return this.#told(`remove ${key}`, () => fs.rm(this.#fileOf(key), { force: true }));
  }

  async #gather(directory: string, take: (object: StoredObject) => void): Promise<void> {
    const entries = await fs
      .readdir(path.join(this.#root, directory), { withFileTypes: true })
      .catch(absent([]));
    const look = async (entry: Dirent) => {
      const key = `${directory}${entry.name}`;
      if (entry.isDirectory()) return this.#gather(`${key}/`, take);
      if (entry.name.endsWith(UNFINISHED)) return;
      const stat = await fs.stat(path.join(this.#root, key)).catch(absent(undefined));
      if (stat) take({ key, sizeBytes: stat.size });
    };
    for (let at = 0; at < entries.length; at += LOOKS_MAX)
      await Promise.all(entries.slice(at, at + LOOKS_MAX).map(look));
  }

  async #open(key: string): Promise<fs.FileHandle> {
    const handle = await fs.open(this.#fileOf(key), 'r').catch(absent(undefined));
    if (!handle) throw archiveErrors.ARCHIVE_NO_OBJECT([key]);
    return handle;
  }

  #fileOf(key: string): string {
    return path.join(this.#root, key);
  }

  async #told<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (isCoded(cause)) throw cause;
      const why = `${describeError(cause)}; check its disk and permissions`;
      throw archiveErrors.ARCHIVE_STORE_FAILED([what, why], { cause });
    }
  }
}

/** IOV_MAX is 1024. */
const PARTS_PER_WRITE = 512;

async function writeAll(handle: fs.FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const { bytesWritten } = await handle.writev(parts);
  if (bytesWritten === total) return;
  // A short write: what is left goes as one.
  await handle.appendFile(Buffer.concat(parts).subarray(bytesWritten));
}

async function syncDirectory(directory: string): Promise<void> {
  await using handle = await fs.open(directory, 'r');
  await handle.sync();
}

function absent<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    // ENOTDIR: a part of the path is an object.
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return value;
    throw error;
  };
}
