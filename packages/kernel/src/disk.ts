/**
 * The disk as drivers see it. Synchronous on purpose: a storage node does nothing else while it waits for a sync,
 * what arrives meanwhile is the next batch (measured: fdatasync on the main thread of its own process costs 10 % less
 * CPU than through the thread pool, with a better p99).
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { alignedMemory, isAligned } from './aligned-memory.ts';
import { assert } from './assert.ts';
import { viewsAfter } from './views.ts';

const { O_RDWR, O_CREAT, O_DIRECT, O_DSYNC } = fs.constants;

export interface DiskFile extends Disposable {
  readonly path: string;
  /** Reads up to `into.length` bytes at `at`; answers how many there were. */
  read(into: Uint8Array, at: number): number;
  /**
   * Has the system take these bytes into its memory, FETCH_BYTES_MAX at most, for a `read` that comes soon; calls `done` later, when it has
   * or could not. A disk need not have it.
   */
  fetch?(at: number, bytes: number, done: () => void): void;
  /** Writes all of `parts`, one after the other, from `at` on. Not durable before `sync`. */
  write(parts: readonly Uint8Array[], at: number): void;
  /** Returns when all that was written is on the disk. */
  sync(): void;
  /**
   * `write` and `sync` of these bytes in one, past the page cache, for about half the CPU: they have to be of `Disk.memory` and to stand
   * in whole blocks of 4096 bytes that the file has already. Answers false where that cannot be done: then nothing is known of these
   * bytes on the disk, and they are to be written and synced. A disk need not have it.
   */
  writeThrough?(bytes: Uint8Array, at: number): boolean;
  /**
   * `write` and `sync` while the process goes on, for background work that must not be felt. What is written must not change
   * before it is; `syncAside` covers what was written when it was called. A disk need not have them.
   */
  writeAside?(parts: readonly Uint8Array[], at: number): Promise<void>;
  syncAside?(): Promise<void>;
  sizeBytes(): number;
  truncate(sizeBytes: number): void;
}

export interface Disk {
  /** Opens for reading and writing; creates where `create` says so. Throws the system's error (ENOENT, EACCES …). */
  open(path: string, options?: { create?: boolean }): DiskFile;
  /** For `writeThrough`. A disk need not have it. */
  memory?(bytes: number): Uint8Array;
  exists(path: string): boolean;
  /** Names in a directory, sorted. */
  list(path: string): string[];
  makeDirectory(path: string): void;
  remove(path: string): void;
  /** Atomic, replacing; durable after `syncDirectory`. */
  rename(from: string, to: string): void;
  /** Makes creations, removals and renames in this directory durable. */
  syncDirectory(path: string): void;
}

const BLOCK_BYTES = 4096;
const FETCH_BYTES_MAX = 1024 * 1024;
/** What is fetched goes to the system's memory by way of this, and nobody looks at it here. */
let scratch = new Uint8Array(0);

class SystemFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;
  /** For `writeThrough`, opened at its first: undefined before, null where that cannot be. */
  #through: number | null | undefined;
  /** Work that goes on aside. Its number would be another file's once this one is closed, so the close waits for it. */
  #aside = 0;
  #closing = false;

  constructor(filePath: string, flags: number) {
    this.path = filePath;
    this.#fd = fs.openSync(filePath, flags, 0o600);
  }

  read(into: Uint8Array, at: number): number {
    this.#demandOpen();
    let done = 0;
    while (done < into.length) {
      const count = fs.readSync(this.#fd, into, done, into.length - done, at + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  fetch(at: number, bytes: number, done: () => void): void {
    this.#demandOpen();
    assert(bytes <= FETCH_BYTES_MAX, 'no more than is read in one go');
    if (scratch.length < bytes) scratch = new Uint8Array(bytes);
    this.#aside++;
    // An error is for `read` to tell.
    fs.read(this.#fd, scratch, 0, bytes, at, () => {
      this.#endAside();
      done();
    });
  }

  write(parts: readonly Uint8Array[], at: number): void {
    this.#demandOpen();
    let left = parts;
    for (let to = at; left.length > 0;) {
      const [first] = left;
      const count =
        left.length === 1
          ? fs.writeSync(this.#fd, first, 0, first.length, to)
          : fs.writevSync(this.#fd, left, to);
      to += count;
      left = viewsAfter(left, count);
    }
  }

  sync(): void {
    this.#demandOpen();
    fs.fdatasyncSync(this.#fd);
  }

  writeThrough(bytes: Uint8Array, at: number): boolean {
    this.#demandOpen();
    if (at % BLOCK_BYTES > 0 || !isAligned(bytes, BLOCK_BYTES)) return false;
    if (this.#through === undefined) this.#through = openThrough(this.#fd);
    if (this.#through === null) return false;
    try {
      return fs.writeSync(this.#through, bytes, 0, bytes.length, at) === bytes.length;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EIO') throw error;
      // Some file systems have it only in name. And what a lack of space means is for `write` and `sync` to find out, each for itself.
      this.#closeThrough();
      return false;
    }
  }

  #closeThrough(): void {
    const through = this.#through;
    this.#through = null;
    if (typeof through === 'number') fs.closeSync(through);
  }

  async writeAside(parts: readonly Uint8Array[], at: number): Promise<void> {
    let left = parts;
    for (let to = at; left.length > 0;) {
      const count = await this.#beside<number>((done) => fs.writev(this.#fd, left, to, done));
      to += count;
      left = viewsAfter(left, count);
    }
  }

  syncAside(): Promise<void> {
    return this.#beside<void>((done) => fs.fdatasync(this.#fd, done));
  }

  async #beside<T>(start: (done: (error: Error | null, result?: unknown) => void) => void): Promise<T> {
    this.#demandOpen();
    this.#aside++;
    try {
      return await new Promise<T>((resolve, reject) =>
        start((error, result) => (error ? reject(error) : resolve(result as T))),
      );
    } finally {
      this.#endAside();
    }
  }

  #endAside(): void {
    this.#aside--;
    if (this.#closing) this[Symbol.dispose]();
  }

  sizeBytes(): number {
    this.#demandOpen();
    return fs.fstatSync(this.#fd).size;
  }

  truncate(sizeBytes: number): void {
    this.#demandOpen();
    fs.ftruncateSync(this.#fd, sizeBytes);
  }

  /** The system has given the number to another file meanwhile. */
  #demandOpen(): void {
    assert(!this.#closing, () => `${this.path} is closed`);
  }

  [Symbol.dispose](): void {
    this.#closing = true;
    try {
      this.#closeThrough();
    } finally {
      if (this.#aside === 0) fs.closeSync(this.#fd);
    }
  }
}

/** The same file once more, whatever its name leads to by now; null where its file system has no direct I/O. */
function openThrough(fd: number): number | null {
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, O_RDWR | O_DIRECT | O_DSYNC);
  } catch {
    return null;
  }
}

export const systemDisk: Disk = {
  open(filePath, options = {}) {
    return new SystemFile(filePath, options.create ? O_RDWR | O_CREAT : O_RDWR);
  },
  memory: alignedMemory,
  exists: (filePath) => fs.existsSync(filePath),
  list: (directory) => fs.readdirSync(directory).sort(),
  makeDirectory: (directory) => void fs.mkdirSync(directory, { recursive: true, mode: 0o700 }),
  remove: (filePath) => fs.rmSync(filePath, { recursive: true, force: true }),
  rename: (from, to) => fs.renameSync(from, to),
  syncDirectory(directory) {
    const fd = fs.openSync(path.resolve(directory), fs.constants.O_RDONLY);
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
};
