/**
 * The entries of one directory in memory, by name and in the order of their making. Each entry has a cookie that never
 * changes, so a listing that is read in parts neither repeats nor loses an entry while others come and go.
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
  cookie = 0;
  gone = false;

  constructor(options: { slot: SlotNumber; parent: Inode; name: string; child: Inode }) {
    this.slot = options.slot;
    this.parent = options.parent;
    this.name = options.name;
    this.child = options.child;
  }
}

export class Directory {
  readonly #byName = new Map<string, Entry>();
  #ordered: Entry[] = [];
  #gone = 0;
  #nextCookie = FIRST_COOKIE;

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): Entry | undefined {
    return this.#byName.get(name);
  }

  add(entry: Entry): void {
    assert(!this.#byName.has(entry.name), 'a name stands twice in a directory');
    entry.cookie = this.#nextCookie++;
    this.#byName.set(entry.name, entry);
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
    for (let i = this.#indexAfter(cookie); i < this.#ordered.length && found.length < limit; i++) {
      if (!this.#ordered[i].gone) found.push(this.#ordered[i]);
    }
    return found;
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
