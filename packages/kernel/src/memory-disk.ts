/**
 * A disk in memory that knows what was synced: `crash` keeps the synced bytes and lets the caller decide what happens
 * to each write that was not. For tests and simulation.
 */
import { must } from './assert.ts';
import type { Disk, DiskFile } from './disk.ts';

interface MemoryFile {
  bytes: Uint8Array;
  synced: Uint8Array;
  unsynced: { at: number; bytes: Uint8Array }[];
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** Files grow into memory that is kept ready behind them, so that a row of appends does not copy them each time. */
function put(target: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  const out = at + bytes.length > target.length ? grown(target, at + bytes.length) : target;
  out.set(bytes, at);
  return out;
}

/** Memory that was made here: what lies in it behind a file is zeroes and nobody else's. */
const roomy = new WeakSet<ArrayBufferLike>();

function grown(target: Uint8Array, length: number): Uint8Array {
  const { buffer } = target;
  if (roomy.has(buffer) && length <= buffer.byteLength) return new Uint8Array(buffer, 0, length);
  const memory = new ArrayBuffer(Math.max(length, target.length * 2));
  roomy.add(memory);
  const out = new Uint8Array(memory, 0, length);
  out.set(target);
  return out;
}

export class MemoryDisk implements Disk {
  readonly files = new Map<string, MemoryFile>();
  readonly #directories = new Set<string>();
  /** Called before each write, sync or removal; may throw to play a full or failing disk. */
  onAccess: ((kind: 'write' | 'sync' | 'remove', path: string) => void) | undefined;

  /** Whether its files can `writeThrough`. */
  writesThrough = false;

  open(path: string, options: { create?: boolean } = {}): DiskFile {
    let file = this.files.get(path);
    if (!file) {
      if (!options.create) throw failure('ENOENT', path);
      file = { bytes: new Uint8Array(0), synced: new Uint8Array(0), unsynced: [] };
      this.files.set(path, file);
    }
    return this.#handle(path, file);
  }

  exists(path: string): boolean {
    return this.files.has(path) || this.#directories.has(path);
  }

  list(path: string): string[] {
    const prefix = `${path}/`;
    const names = new Set<string>();
    for (const name of [...this.files.keys(), ...this.#directories]) {
      if (name.startsWith(prefix)) names.add(must(name.slice(prefix.length).split('/')[0]));
    }
    return [...names].sort();
  }

  makeDirectory(path: string): void {
    this.#directories.add(path);
  }

  remove(path: string): void {
    this.onAccess?.('remove', path);
    this.#directories.delete(path);
    for (const name of this.files.keys())
      if (name === path || name.startsWith(`${path}/`)) this.files.delete(name);
  }

  rename(from: string, to: string): void {
    const file = this.files.get(from);
    if (!file) throw failure('ENOENT', from);
    this.files.delete(from);
    this.files.set(to, file);
  }

  syncDirectory(_path: string): void {}

  /** The machine loses power. `fate` says of each unsynced write how many of its leading bytes reached the disk. */
  crash(fate: (write: { path: string; at: number; length: number }) => number = () => 0): void {
    for (const [path, file] of this.files) {
      let bytes = file.synced;
      for (const write of file.unsynced) {
        const kept = Math.min(write.bytes.length, fate({ path, at: write.at, length: write.bytes.length }));
        if (kept > 0) bytes = put(bytes, write.at, write.bytes.subarray(0, kept));
      }
      file.bytes = bytes.slice();
      file.synced = bytes.slice();
      file.unsynced = [];
    }
  }

  #handle(path: string, file: MemoryFile): DiskFile {
    const sync = () => {
      this.onAccess?.('sync', path);
      for (const write of file.unsynced) file.synced = put(file.synced, write.at, write.bytes);
      file.unsynced = [];
    };
    const write = (parts: readonly Uint8Array[], at: number) => {
      this.onAccess?.('write', path);
      let to = at;
      for (const part of parts) {
        file.unsynced.push({ at: to, bytes: part.slice() });
        file.bytes = put(file.bytes, to, part);
        to += part.length;
      }
    };
    return {
      path,
      read(into, at) {
        const part = file.bytes.subarray(at, at + into.length);
        into.set(part);
        return part.length;
      },
      write,
      sync,
      writeThrough: (bytes, at) => this.writesThrough && through(write, sync, bytes, at),
      syncAside: async () => sync(),
      sizeBytes: () => file.bytes.length,
      truncate: (sizeBytes) => {
        this.onAccess?.('write', path);
        const bytes = new Uint8Array(sizeBytes);
        bytes.set(file.bytes.subarray(0, sizeBytes));
        file.bytes = bytes;
        file.synced = bytes.slice();
        file.unsynced = [];
      },
      [Symbol.dispose]() {},
    };
  }
}

/** Both in one; where that fails otherwise than for good, it is for those two to say so. */
function through(write: DiskFile['write'], sync: DiskFile['sync'], bytes: Uint8Array, at: number): boolean {
  try {
    write([bytes], at);
    sync();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') throw error;
    return false;
  }
}
