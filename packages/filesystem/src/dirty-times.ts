/**
 * Inodes whose times in memory are newer than those on the volume. They reach it with the inode's next change or its next sync. Where
 * the process may be followed by another one that nobody notices, the numbers of these inodes are kept outside of it as well.
 */
import type { Inode } from './inode.ts';
import type { Ino } from './layout.ts';

/** Where it is kept, beyond the end of the process, which inodes were written to and do not say so on the volume. */
export interface TouchedInodes {
  add(ino: Ino): void;
  delete(ino: Ino): void;
}

export class DirtyTimes {
  readonly #inodes = new Set<Inode>();
  readonly #touched: TouchedInodes | undefined;

  constructor(touched: TouchedInodes | undefined) {
    this.#touched = touched;
  }

  /** Times that somebody sets must be on the volume at once: only that an inode was written to is known to whoever comes next. */
  get mustNotWait(): boolean {
    return this.#touched !== undefined;
  }

  get size(): number {
    return this.#inodes.size;
  }

  has(inode: Inode): boolean {
    return this.#inodes.has(inode);
  }

  add(inode: Inode): void {
    if (this.#inodes.has(inode)) return;
    this.#inodes.add(inode);
    this.#touched?.add(inode.record.ino);
  }

  delete(inode: Inode): void {
    if (this.#inodes.delete(inode)) this.#touched?.delete(inode.record.ino);
  }

  first(count: number): Inode[] {
    return [...this.#inodes].slice(0, count);
  }
}
