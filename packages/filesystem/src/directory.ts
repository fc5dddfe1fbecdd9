/**
 * The entries of one directory in memory, by name and in the order of their slots. The slot is an entry's cookie: it never changes, not
 * even when the filesystem is opened anew, so a listing that is read in parts neither repeats nor loses an entry while others come
 * and go, whoever answers.
 */
import { assert } from '@rokka/kernel';
import type { Inode } from './inode.ts';
import type { SlotNumber } from './layout.ts';

/** Cookies below belong to `.` and `..`. */
const FIRST_COOKIE = 3;
/** Removed entries keep their place until there are this many, and half of all. */
const GONE_MAX = 64;

export class Entry {
  readonly slot: SlotNumber;
  readonly parent: Inode;
  readonly name: string;
  child: Inode;
  gone = false;

  constructor(options: { slot: SlotNumber; parent: Inode; name: string; child: Inode }) {
    this.slot = options.slot;
    this.parent = options.parent;
    this.name = options.name;
    this.child = options.child;
  }

  get cookie(): number {
    return this.slot + FIRST_COOKIE;
  }
}

export class Directory {
  readonly #byName = new Map<string, Entry>();
  #ordered: Entry[] = [];
  /** An entry was added that stands behind its place. It gets there when somebody lists. */
  #disordered = false;
  #gone = 0;

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): Entry | undefined {
    return this.#byName.get(name);
  }

  add(entry: Entry): void {
    assert(!this.#byName.has(entry.name), 'a name stands twice in a directory');
    this.#byName.set(entry.name, entry);
    const last = this.#ordered.at(-1);
    if (last && last.cookie >= entry.cookie) this.#disordered = true;
    this.#ordered.push(entry);
  }

  remove(entry: Entry): void {
    assert(this.#byName.get(entry.name) === entry, 'an entry is removed from where it is not');
    this.#byName.delete(entry.name);
    entry.gone = true;
    this.#gone += 1;
    if (this.#gone < GONE_MAX || this.#gone * 2 < this.#ordered.length) return;
    this.#ordered = this.#ordered.filter((other) => !other.gone);
    this.#gone = 0;
  }

  /** At most `limit` entries whose cookies are above `cookie`, in order. */
  listAfter(cookie: number, limit: number): Entry[] {
    const found: Entry[] = [];
    this.#order();
    for (let i = this.#indexAfter(cookie); i < this.#ordered.length && found.length < limit; i++) {
      if (!this.#ordered[i].gone) found.push(this.#ordered[i]);
    }
    return found;
  }

  /** A slot may have been another entry's before: that one is gone, and gives its place up. */
  #order(): void {
    if (!this.#disordered) return;
    this.#ordered = this.#ordered.filter((entry) => !entry.gone).sort((a, b) => a.cookie - b.cookie);
    this.#gone = 0;
    this.#disordered = false;
  }

  #indexAfter(cookie: number): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ordered[middle].cookie > cookie) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
