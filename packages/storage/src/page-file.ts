/**
 * The pages of a full segment on disk: a sparse file of 8 KiB slots and a table that says which page each holds.
 *
 * A new version of a page goes to a free slot, never over the old one. A generation of pages counts when its COALESCED entry
 * is in the log, which is written only after both files are synced; the slots it replaced are free from then on, and only a
 * later generation reuses them. So a torn write never destroys the only copy of a page.
 *
 * A page whose checksum fails is lost: it is never served, and never taken as a base for newer records.
 */
import { assert, crc32, describeError, joinNeighbours, must, PAGE_SIZE } from '@rokka/kernel';
import type { CodedError, Disk, DiskFile, Lsn } from '@rokka/kernel';
import type { Generation } from './control-state.ts';
import { storageErrors } from './errors.ts';
import { diskError } from './log-files.ts';
import { KIND_LOST, KIND_PAGE, loadSlotMap, readSlotEntry, SLOT_ENTRY_BYTES } from './page-table.ts';
import { writeSlotEntry, SlotMap } from './page-table.ts';

export interface PageFileOptions {
  disk: Disk;
  /** Made if it is not there. Its owner sees to it that the names in it, and its own, are durable before they are relied on. */
  directory: string;
  segment: number;
  pageCount: number;
  /** The last completed one, as the log has it. */
  generation: Generation;
}

/** A page as it stands on disk. `content` is undefined where it was lost. */
export interface BasePage {
  lsn: Lsn;
  content: Uint8Array | undefined;
}

/** One page of a generation; no content where its base was lost. */
export interface NewPage {
  page: number;
  lsn: Lsn;
  content: Uint8Array | undefined;
  /** CRC-32 of the content, where it is known. */
  checksum?: number | undefined;
}

/** A page of those that `readLive` found; no content where it was lost. */
export interface LivePage extends BasePage {
  page: number;
  checksum: number;
}

interface PlacedPage {
  page: number;
  slot: number;
  lsn: Lsn;
  kind: number;
  dataChecksum: number;
  /** Of the entry. */
  checksum: number;
}

export class PageFile implements Disposable {
  readonly path: string;
  readonly #pages: DiskFile;
  readonly #table: DiskFile;
  #map: SlotMap;
  /** The table is not the one that the log describes: which versions are current is unknown. */
  #damaged: boolean;
  #making = false;
  #entryBytes = new Uint8Array(SLOT_ENTRY_BYTES);
  #entryView = new DataView(this.#entryBytes.buffer);

  constructor(options: PageFileOptions) {
    const { disk, directory, segment, pageCount, generation } = options;
    disk.makeDirectory(directory);
    this.path = `${directory}/${segment}.pages`;
    this.#pages = disk.open(this.path, { create: true });
    this.#table = disk.open(`${directory}/${segment}.table`, { create: true });
    const map = loadSlotMap(this.#table, { pageCount, generation });
    this.#damaged = map === undefined;
    this.#map = map ?? new SlotMap();
  }

  get damaged(): boolean {
    return this.#damaged;
  }

  /**
   * Forgets every page, durably: what follows is a copy from a peer. Nothing else may be in the making; a crash before the
   * log knows of it leaves a table that is not the log's, so the pages are missed and not confused.
   * @throws STORAGE_DISK_FULL, STORAGE_DISK_FAILED
   */
  reset(): void {
    assert(!this.#making, 'a generation is being made');
    try {
      this.#table.truncate(0);
    } catch (error) {
      throw diskError(error, this.#table.path);
    }
    syncOrStop(this.#table);
    this.#map = new SlotMap();
    this.#damaged = false;
  }

  /** A generation is on its way: no other may begin. */
  get busy(): boolean {
    return this.#making;
  }

  get livePages(): number {
    return this.#map.livePages;
  }

  /** What one page takes on the disk. */
  get slotBytes(): number {
    return PAGE_SIZE + SLOT_ENTRY_BYTES;
  }

  get sizeBytes(): number {
    return this.#map.slotCount * this.slotBytes;
  }

  /** The first page from `page` on that was ever written; `end` where there is none below. */
  nextLive(page: number, end: number): number {
    return this.#map.nextLive(page, end);
  }

  /**
   * The page of the last completed generation; undefined for a page never written. The content is `into`, PAGE_SIZE bytes,
   * and the caller's.
   */
  read(page: number, into: Uint8Array = new Uint8Array(PAGE_SIZE)): BasePage | undefined {
    const slot = this.#map.slot(page);
    if (slot === undefined) return undefined;
    this.#readSlots({ first: slot, entries: this.#entriesFor(1), contents: into });
    return this.#judged(page, { view: this.#entryView, at: 0, content: into });
  }

  /**
   * The same for many pages, one after the other in `memory`, PAGE_SIZE bytes for each. What lies side by side on the disk, and is asked
   * for in that order, is read in one go.
   */
  readEach(pages: readonly number[], memory: Uint8Array): (BasePage | undefined)[] {
    const slots = pages.map((page) => this.#map.slot(page));
    this.#readRuns(slots, memory);
    return pages.map((page, at) => {
      if (slots[at] === undefined) return undefined;
      const content = memory.subarray(at * PAGE_SIZE, (at + 1) * PAGE_SIZE);
      return this.#judged(page, { view: this.#entryView, at: at * SLOT_ENTRY_BYTES, content });
    });
  }

  /**
   * Has the system fetch what `readEach` of these pages will read, in `most` pieces at most, and calls `done` when they are here. Answers how
   * many pieces are on their way. Entries are not fetched: one page of them is that of a hundred slots, and stays in memory.
   */
  fetch(pages: readonly number[], most: number, done: () => void): number {
    const file = this.#pages;
    if (!file.fetch) return 0;
    const runs = [...runsOf(pages.map((page) => this.#map.slot(page)))].slice(0, most);
    let left = runs.length;
    for (const { slot, count } of runs)
      file.fetch(slot * PAGE_SIZE, count * PAGE_SIZE, () => {
        if (--left === 0) done();
      });
    return runs.length;
  }

  /**
   * Pages from `from` on and below `end` that were ever written, in order, `limit` of them at most, and where to go on. What
   * lies side by side on the disk is read in one go. The contents lie side by side in `memory`, as many as fit in there.
   */
  readLive(from: number, end: number, memory: Buffer): { pages: LivePage[]; next: number } {
    const limit = Math.floor(memory.length / PAGE_SIZE);
    const found: { page: number; slot: number }[] = [];
    let next = this.nextLive(from, end);
    for (; next < end && found.length < limit; next = this.nextLive(next + 1, end))
      found.push({ page: next, slot: must(this.#map.slot(next)) });
    this.#readRuns(
      found.map(({ slot }) => slot),
      memory,
    );
    const view = this.#entryView;
    const pages = found.map(({ page }, i) => {
      const content = memory.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE);
      return this.#judged(page, { view, at: i * SLOT_ENTRY_BYTES, content });
    });
    return { pages, next };
  }

  /** Reads the slots, and their entries, each to its place; nothing where there is no slot. */
  #readRuns(slots: readonly (number | undefined)[], memory: Uint8Array): void {
    const entries = this.#entriesFor(slots.length);
    for (const { at, slot, count } of runsOf(slots))
      this.#readSlots({
        first: slot,
        entries: entries.subarray(at * SLOT_ENTRY_BYTES, (at + count) * SLOT_ENTRY_BYTES),
        contents: memory.subarray(at * PAGE_SIZE, (at + count) * PAGE_SIZE),
      });
  }

  /** Memory for so many entries, the same each time. */
  #entriesFor(count: number): Uint8Array {
    if (this.#entryBytes.length < count * SLOT_ENTRY_BYTES) {
      this.#entryBytes = new Uint8Array(count * SLOT_ENTRY_BYTES);
      this.#entryView = new DataView(this.#entryBytes.buffer);
    }
    return this.#entryBytes.subarray(0, count * SLOT_ENTRY_BYTES);
  }

  /** What the files lack is zeros, which are no entry. */
  #readSlots(of: { first: number; entries: Uint8Array; contents: Uint8Array }): void {
    const { first, entries, contents } = of;
    entries.fill(0, this.#table.read(entries, first * SLOT_ENTRY_BYTES));
    contents.fill(0, this.#pages.read(contents, first * PAGE_SIZE));
  }

  #judged(page: number, read: { view: DataView; at: number; content: Uint8Array }): LivePage {
    const { view, at, content } = read;
    const entry = readSlotEntry(view, at);
    const lost = { page, checksum: 0, content: undefined };
    // The entry was sound when it was written or read, so it has rotted since; nobody knows how new the page was.
    const checksum = view.getUint32(at + SLOT_ENTRY_BYTES - 4, true);
    if (!entry || entry.page !== page || checksum !== this.#map.checksum(page))
      return { ...lost, lsn: Number.MAX_SAFE_INTEGER as Lsn };
    const { lsn, dataChecksum } = entry;
    if (entry.kind === KIND_LOST || crc32(content) !== dataChecksum) return { ...lost, lsn };
    return { page, lsn, checksum: dataChecksum, content };
  }

  /**
   * Begins a generation. One at a time; it is carried through or the process ends. One that is written aside has its pages
   * on the way to the disk while the node goes on.
   * @param options.pages how many it will have at most, where that is known
   */
  begin(number: number, options: { aside?: boolean; pages?: number } = {}): PageGeneration {
    assert(!this.damaged && !this.#making, 'pages are never added to a damaged file, nor by two at a time');
    this.#making = true;
    const onEnd = () => (this.#making = false);
    const files = { pages: this.#pages, table: this.#table, map: this.#map, onEnd };
    const pagesPerWrite = options.aside ? PAGES_PER_WRITE_ASIDE : PAGES_PER_WRITE;
    return new PageGeneration(files, { number, pagesPerWrite, pages: options.pages ?? pagesPerWrite });
  }

  [Symbol.dispose](): void {
    this.#pages[Symbol.dispose]();
    this.#table[Symbol.dispose]();
  }
}

/** Pages that are gathered for one write where their slots lie side by side. */
const PAGES_PER_WRITE = 32;
/** 512 KiB: for 2 MiB at once the page cache takes huge pages, which a virtual machine may have to ask its host for each time. */
const PAGES_PER_WRITE_ASIDE = 64;
/** A sync stops the node for as long as the disk needs for what was written since the last one, so that is kept small. */
const PAGES_PER_SYNC = 128;
const ENTRIES_PER_STEP = 512;

interface GenerationFiles {
  pages: DiskFile;
  table: DiskFile;
  map: SlotMap;
  onEnd: () => void;
}

/**
 * A generation on its way to the disk: pages are added one by one and not kept. Every method does a bounded piece of work,
 * and can be called again where the disk was full.
 */
export class PageGeneration {
  readonly number: number;
  readonly #files: GenerationFiles;
  readonly #placed: PlacedPage[] = [];
  #contents: Uint8Array[] = [];
  #memory: Uint8Array | undefined;
  #unsynced = 0;
  #entriesWritten = 0;
  #synced = false;
  readonly #pagesPerWrite: number;
  readonly #memoryPages: number;

  constructor(files: GenerationFiles, of: { number: number; pagesPerWrite: number; pages: number }) {
    this.#files = files;
    this.number = of.number;
    this.#pagesPerWrite = of.pagesPerWrite;
    this.#memoryPages = Math.min(of.pagesPerWrite, of.pages);
  }

  /** Whether what was gathered must be written before the next page is added. */
  get full(): boolean {
    return this.#contents.length >= this.#pagesPerWrite;
  }

  /** Memory for the content of the page that is added next, PAGE_SIZE bytes; it is the next one's again when that is written. */
  nextContent(): Uint8Array {
    assert(!this.full, 'pages are written before more are added');
    this.#memory ??= new Uint8Array(this.#memoryPages * PAGE_SIZE);
    const at = this.#contents.length * PAGE_SIZE;
    assert(at < this.#memory.length, 'more pages than were announced');
    return this.#memory.subarray(at, at + PAGE_SIZE);
  }

  add(page: NewPage): void {
    assert(!this.full, 'pages are written before more are added');
    const { content, checksum } = page;
    this.#placed.push({
      page: page.page,
      slot: this.#files.map.take(),
      lsn: page.lsn,
      kind: content ? KIND_PAGE : KIND_LOST,
      dataChecksum: content ? (checksum ?? crc32(content)) : 0,
      checksum: 0,
    });
    this.#contents.push(content ?? EMPTY_PAGE);
  }

  /** Writes what was gathered, and syncs now and then. */
  write(): void {
    for (const { parts, at } of this.#runs()) this.#files.pages.write(joinNeighbours(parts), at);
    this.#written();
    if (this.#unsynced >= PAGES_PER_SYNC) this.#syncPages();
  }

  /** Writes what was gathered while the node goes on. Nothing may be added before it resolves. */
  async writeAside(): Promise<void> {
    const { pages } = this.#files;
    for (const { parts, at } of this.#runs())
      if (pages.writeAside) await pages.writeAside(joinNeighbours(parts), at);
      else pages.write(parts, at);
    this.#written();
  }

  /** What was gathered, by slots that lie side by side. */
  *#runs(): Iterable<{ parts: Uint8Array[]; at: number }> {
    const first = this.#placed.length - this.#contents.length;
    for (let from = 0; from < this.#contents.length;) {
      const { slot } = this.#placed[first + from];
      let to = from + 1;
      while (to < this.#contents.length && this.#placed[first + to].slot === slot + to - from) to++;
      yield { parts: this.#contents.slice(from, to), at: slot * PAGE_SIZE };
      from = to;
    }
  }

  #written(): void {
    this.#unsynced += this.#contents.length;
    this.#contents = [];
  }

  /** The next step after the last page. Answers true when both files are synced: then, and not before, the log may say so. */
  finish(): boolean {
    if (this.#contents.length > 0) this.write();
    else if (this.#unsynced > 0) this.#syncPages();
    else if (this.#entriesWritten < this.#placed.length) this.#writeEntries();
    else if (!this.#synced) this.#syncTable();
    return this.#synced;
  }

  /**
   * All that is left after the last page was written, where the disk can sync while the node goes on. Resolves when both files
   * are synced: then, and not before, the log may say so.
   */
  async finishAside(): Promise<void> {
    assert(this.#contents.length === 0, 'pages are written before their entries');
    while (this.#entriesWritten < this.#placed.length) this.#writeEntries();
    // In any order: neither counts before the log's entry, and that waits for both.
    const { pages, table } = this.#files;
    await Promise.all([syncAsideOrStop(pages), syncAsideOrStop(table)]);
    this.#unsynced = 0;
    this.#synced = true;
  }

  /** What the log's entry says: the table as it will be with this generation. */
  describe(lsn: Lsn): Generation {
    const { map } = this.#files;
    let { livePages, digest } = map;
    for (const { page, checksum } of this.#placed) {
      const replaced = map.checksum(page);
      if (replaced === undefined) livePages++;
      digest = (digest ^ checksum ^ (replaced ?? 0)) >>> 0;
    }
    return { number: this.number, lsn, livePages, tableDigest: digest };
  }

  /** The log's entry is durable. */
  complete(): void {
    assert(this.#synced, 'a generation counts when it is on disk');
    for (const { page, slot, checksum } of this.#placed) this.#files.map.set(page, slot, checksum);
    // Lowest first again: neighbours go in one write.
    this.#files.map.free.sort((a, b) => b - a);
    this.#files.onEnd();
  }

  /** Gives it up before any of its entries was written; its slots are free again after the next start. */
  abandon(): void {
    assert(
      this.#entriesWritten === 0,
      'a generation whose entries may stand in the table is carried through',
    );
    this.#files.onEnd();
  }

  #syncPages(): void {
    syncOrStop(this.#files.pages);
    this.#unsynced = 0;
  }

  #syncTable(): void {
    syncOrStop(this.#files.table);
    this.#synced = true;
  }

  #writeEntries(): void {
    const first = this.#entriesWritten;
    const count = Math.min(ENTRIES_PER_STEP, this.#placed.length - first);
    const bytes = new Uint8Array(count * SLOT_ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) {
      const placed = this.#placed[first + i];
      placed.checksum = writeSlotEntry(view, i * SLOT_ENTRY_BYTES, { ...placed, generation: this.number });
    }
    for (let from = 0; from < count;) {
      const { slot } = this.#placed[first + from];
      let to = from + 1;
      while (to < count && this.#placed[first + to].slot === slot + to - from) to++;
      const run = bytes.subarray(from * SLOT_ENTRY_BYTES, to * SLOT_ENTRY_BYTES);
      this.#files.table.write([run], slot * SLOT_ENTRY_BYTES);
      from = to;
    }
    this.#entriesWritten += count;
  }
}

const EMPTY_PAGE = new Uint8Array(PAGE_SIZE);

/** After a failed sync nobody knows what is on the disk, a full one included: this is never tried again. */
function syncOrStop(file: DiskFile): void {
  try {
    file.sync();
  } catch (cause) {
    throw syncFailed(file, cause);
  }
}

async function syncAsideOrStop(file: DiskFile): Promise<void> {
  if (!file.syncAside) return syncOrStop(file);
  try {
    await file.syncAside();
  } catch (cause) {
    throw syncFailed(file, cause);
  }
}

function syncFailed(file: DiskFile, cause: unknown): CodedError {
  const why = `sync failed (${describeError(cause)}); what the disk holds is unknown. Check it, then start the node again`;
  return storageErrors.STORAGE_DISK_FAILED([file.path, why], { cause });
}

/** Slots that follow each other in the list and on the disk: where in the list they begin, the first of them, how many. */
function* runsOf(
  slots: readonly (number | undefined)[],
): Iterable<{ at: number; slot: number; count: number }> {
  for (let at = 0, end = 0; at < slots.length; at = end) {
    const slot = slots[at];
    end = at + 1;
    if (slot === undefined) continue;
    while (end < slots.length && slots[end] === slot + end - at) end++;
    yield { at, slot, count: end - at };
  }
}
