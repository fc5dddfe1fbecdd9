/**
 * How often the kernel was given each inode and has not given it back (`nlookup` of fuse.h). While the count is above
 * zero the kernel may use the number, so the filesystem must not give it to another file.
 */
import { assert } from '@rokka/kernel';
import { ROOT_ID } from './protocol.ts';

export class LookupCounts {
  readonly #counts = new Map<number, number>();
  readonly #inherited: boolean;

  /** @param options.inherited the kernel was given inodes by a server before this one, how often nobody knows */
  constructor(options: { inherited?: boolean } = {}) {
    this.#inherited = options.inherited ?? false;
  }

  /** Inodes that the kernel holds, the root not counted. */
  get size(): number {
    return this.#counts.size;
  }

  holds(ino: number): boolean {
    return this.#counts.has(ino);
  }

  add(ino: number): void {
    if (ino !== ROOT_ID) this.#counts.set(ino, (this.#counts.get(ino) ?? 0) + 1);
  }

  /** True where the kernel gave back its last reference, and that is known. */
  drop(ino: number, count: number): boolean {
    if (ino === ROOT_ID) return false;
    const held = this.#counts.get(ino) ?? 0;
    if (this.#inherited) {
      if (held > count) this.#counts.set(ino, held - count);
      else this.#counts.delete(ino);
      return false;
    }
    assert(
      held >= count,
      () => `the kernel gives back inode ${ino} ${count} times, it was given ${held} times`,
    );
    if (held > count) {
      this.#counts.set(ino, held - count);
      return false;
    }
    this.#counts.delete(ino);
    return true;
  }
}
