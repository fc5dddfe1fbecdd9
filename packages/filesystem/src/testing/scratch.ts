/** An empty filesystem on a store in memory, for tests. */
import assert from 'node:assert/strict';
import { bytesEqual, PAGE_SIZE, SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { FsError } from '../errors.ts';
import { FileSystem } from '../filesystem.ts';
import { ROOT_INO, type Ino } from '../layout.ts';

export const OWNER = { uid: 1000, gid: 1000 };
export const FILE = { mode: 0o644, ...OWNER };
export const FOLDER = { mode: 0o755, ...OWNER };

export interface Scratch {
  readonly store: MemoryPageStore;
  readonly clock: VirtualClock;
  readonly fs: FileSystem;
}

export function makeScratch(options: { pagesPerGroup?: number; pagesMax?: number } = {}): Scratch {
  const store = new MemoryPageStore(options);
  const clock = new VirtualClock();
  FileSystem.format(store, { clock, random: new SeededRandom(1) });
  return { store, clock, fs: FileSystem.mount(store, { clock }) };
}

/** What a new writer finds. */
export function remount({ store, clock }: Scratch): FileSystem {
  return FileSystem.mount(store, { clock });
}

export function makeFile(fs: FileSystem, name: string, bytes?: Uint8Array, parent: Ino = ROOT_INO): Ino {
  const { ino } = fs.create(parent, name, FILE);
  if (bytes) fs.write(ino, 0, bytes);
  return ino;
}

export function makeFolder(fs: FileSystem, name: string, parent: Ino = ROOT_INO): Ino {
  return fs.makeDirectory(parent, name, FOLDER).ino;
}

/** The whole content. */
export function contentOf(fs: FileSystem, ino: Ino): Uint8Array {
  const bytes = new Uint8Array(fs.attributes(ino).sizeBytes).fill(0xee);
  fs.read(ino, 0, bytes);
  return bytes;
}

/** Compares contents. assert.deepEqual would make a difference of every byte, which takes gigabytes for a few MiB. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (bytesEqual(actual, expected)) return;
  const length = Math.min(actual.length, expected.length);
  let at = 0;
  while (at < length && actual[at] === expected[at]) at += 1;
  assert.fail(
    `byte ${at} is ${actual[at]}, not ${expected[at]}; ${actual.length} bytes, expected ${expected.length}`,
  );
}

export function pageOf(fill: number, pages = 1): Uint8Array {
  return new Uint8Array(pages * PAGE_SIZE).fill(fill);
}

/** For assert.throws: the refusal with this errno. */
export function errno(code: string): (error: unknown) => boolean {
  return (error) => error instanceof FsError && error.code === code;
}
