/**
 * Which pages of the volume are in use, and which to give next. Nothing of this is stored: the mount derives it from the
 * extents.
 *
 * A file that grows keeps a window: free pages right behind its last one that nobody else is given. So files that grow
 * 8 KiB at a time beside each other still get long extents. Windows are hints: they cost nothing on the volume, and all
 * of them are dropped before an operation fails or the volume has to grow.
 */
import { assert, type PageNumber } from '@rokka/kernel';
import { NotReady } from '@rokka/volume';
import { Bitmap } from './bitmap.ts';
import { refuse } from './errors.ts';
import { pageAfter, type Ino, type PageRun } from './layout.ts';

/** Windows of files that stopped growing are forgotten, oldest first, beyond this many. */
const WINDOWS_MAX = 256;
const WINDOW_PAGES_MIN = 16;
const WINDOW_PAGES_MAX = 1024;

interface Space {
  readonly mappedPages: number;
  readonly pagesMax: number;
}

export class PageAllocator {
  readonly #space: Space;
  /** Pages in use and pages in windows. */
  readonly #taken = new Bitmap();
  readonly #windows = new Map<Ino, PageRun>();
  #usedPages = 0;
  /** No page below is free. */
  #lowest = 0;
  /** A lower bound than the volume's own, settable. */
  limitPages: number;

  constructor(space: Space) {
    this.#space = space;
    this.limitPages = space.pagesMax;
  }

  get usedPages(): number {
    return this.#usedPages;
  }

  get pagesMax(): number {
    return Math.min(this.limitPages, this.#space.pagesMax);
  }

  /** Marks pages that the volume says are in use. Answers the first that was in use already, if any: damage. */
  claim({ page, count }: PageRun): PageNumber | undefined {
    const free = this.#taken.clearCount(page, page + count, count);
    if (free < count) return pageAfter(page, free);
    this.#use({ page, count });
    return undefined;
  }

  /**
   * `count` pages for a file, in as few runs as can be, right behind `after` where that is possible.
   * @throws NotReady where the volume must map more first; FsError ENOSPC
   */
  take(
    owner: Ino,
    options: { count: number; after: PageNumber | undefined; mappedBlocks: number },
  ): PageRun[] {
    const { count, after, mappedBlocks } = options;
    this.#ensure(count);
    const ahead =
      mappedBlocks === 0 ? 0 : Math.min(WINDOW_PAGES_MAX, Math.max(WINDOW_PAGES_MIN, mappedBlocks));
    const runs: PageRun[] = [];
    const own = this.#fromWindow(owner, count);
    if (own) runs.push(own);
    let next = own ? endOf(own) : after;
    for (let left = count - (own?.count ?? 0); left > 0;) {
      const found = this.#find(next, left + ahead);
      const run = { page: found.page, count: Math.min(left, found.count) };
      this.#use(run);
      left -= run.count;
      next = endOf(run);
      const last = runs.at(-1);
      if (last && endOf(last) === run.page)
        runs[runs.length - 1] = { page: last.page, count: last.count + run.count };
      else runs.push(run);
      if (left === 0) this.#reserve(owner, { page: next, count: found.count - run.count });
    }
    return runs;
  }

  /**
   * One run of at most `goal` pages, as long as can be found.
   * @throws NotReady where the volume must map more first; FsError ENOSPC where not one page is left
   */
  takeRun(goal: number): PageRun {
    const count = Math.max(1, Math.min(goal, this.pagesMax - this.#usedPages));
    this.#ensure(count);
    const found = this.#find(undefined, count);
    this.#use(found);
    return found;
  }

  /** Makes pages free; they may be given again at once, because a crash keeps a prefix of all changes. */
  free({ page, count }: PageRun): void {
    assert(this.#taken.nextClear(page, page + count) === page + count, 'a page is freed twice');
    this.#taken.fill(page, count, false);
    this.#usedPages -= count;
    this.#lowest = Math.min(this.#lowest, page);
  }

  /** The file will not grow for now. */
  dropWindow(owner: Ino): void {
    const window = this.#windows.get(owner);
    if (!window) return;
    this.#windows.delete(owner);
    this.#taken.fill(window.page, window.count, false);
    this.#lowest = Math.min(this.#lowest, window.page);
  }

  #use({ page, count }: PageRun): void {
    this.#taken.fill(page, count, true);
    this.#usedPages += count;
  }

  #fromWindow(owner: Ino, most: number): PageRun | undefined {
    const window = this.#windows.get(owner);
    if (!window) return undefined;
    const count = Math.min(most, window.count);
    if (count === window.count) this.#windows.delete(owner);
    else this.#windows.set(owner, { page: pageAfter(window.page, count), count: window.count - count });
    this.#usedPages += count;
    return { page: window.page, count };
  }

  #reserve(owner: Ino, window: PageRun): void {
    if (window.count === 0) return;
    assert(!this.#windows.has(owner), 'a window is used up before the next is made');
    this.#taken.fill(window.page, window.count, true);
    this.#windows.set(owner, window);
    if (this.#windows.size <= WINDOWS_MAX) return;
    for (const oldest of this.#windows.keys()) return this.dropWindow(oldest);
  }

  /** Makes sure that `count` pages can be taken now, windows of others included. */
  #ensure(count: number): void {
    const used = this.#usedPages;
    if (used + count > this.pagesMax) {
      refuse('ENOSPC', `${count} pages needed, ${this.pagesMax - used} of ${this.pagesMax} are free`);
    }
    if (used + count > this.#space.mappedPages) throw new NotReady({ mapPages: used + count });
  }

  /** Free pages, up to `goal` in a row: right at `at`, else the lowest run that is long enough, else the longest. */
  #find(at: PageNumber | undefined, goal: number): PageRun {
    const end = this.#space.mappedPages;
    if (at !== undefined) {
      const count = this.#taken.clearCount(at, end, goal);
      if (count > 0) return { page: at, count };
    }
    const found = this.#search(end, goal);
    if (found.count > 0) return found;
    for (const owner of this.#windows.keys()) this.dropWindow(owner);
    const again = this.#search(end, goal);
    assert(again.count > 0, 'a free page was counted and is not there');
    return again;
  }

  #search(end: number, goal: number): PageRun {
    let best = { page: 0 as PageNumber, count: 0 };
    let page = this.#taken.nextClear(this.#lowest, end);
    this.#lowest = page;
    while (page < end) {
      const count = this.#taken.clearCount(page, end, goal);
      if (count > best.count) best = { page: page as PageNumber, count };
      if (count === goal) break;
      page = this.#taken.nextClear(page + count, end);
    }
    return best;
  }
}

const endOf = ({ page, count }: PageRun): PageNumber => pageAfter(page, count);
