/**
 * The pages of a full segment on disk: a sparse file of 8 KiB slots and a table that says which page each holds.
 *
 * A new version of a page goes to a free slot, never over the old one. A generation of pages counts when its COALESCED entry
 * is in the log, which is written only after both files are synced; the slots it replaced are free from then on, and only a
 * later generation reuses them. So a torn write never destroys the only copy of a page.
 *
 * A page whose checksum fails is lost: it is never served, and never taken as a base for newer records.
 */
import { assert, crc32, PAGE_SIZE, type Disk, type DiskFile, type Lsn } from '@rokka/kernel';
import type { Generation } from './control-state.ts';
import { KIND_LOST, KIND_PAGE, loadSlotMap, readSlotEntry, SLOT_ENTRY_BYTES } from './page-table.ts';
import { writeSlotEntry, SlotMap } from './page-table.ts';

export interface PageFileOptions {
  disk: Disk;
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
}

interface PlacedPage extends NewPage {
  slot: number;
  checksum: number;
}

export class PageFile implements Disposable {
  readonly path: string;
  readonly #pages: DiskFile;
  readonly #table: DiskFile;
  #map: SlotMap;
  /** The table is not the one that the log describes: which versions are current is unknown. */
  readonly damaged: boolean;
  lostPages = 0;

  constructor(options: PageFileOptions) {
    const { disk, directory, segment, pageCount, generation } = options;
    disk.makeDirectory(directory);
    this.path = `${directory}/${segment}.pages`;
    const isNew = !disk.exists(`${directory}/${segment}.table`);
    this.#pages = disk.open(this.path, { create: true });
    this.#table = disk.open(`${directory}/${segment}.table`, { create: true });
    if (isNew) disk.syncDirectory(directory);
    const map = loadSlotMap(this.#table, { pageCount, generation });
    this.damaged = map === undefined;
    this.#map = map ?? new SlotMap();
  }

  get livePages(): number {
    return this.#map.livePages;
  }

  get sizeBytes(): number {
    return this.#map.slotCount * (PAGE_SIZE + SLOT_ENTRY_BYTES);
  }

  /** The page of the last completed generation; undefined for a page never written. The content belongs to the caller. */
  read(page: number): BasePage | undefined {
    const slot = this.#map.slot(page);
    if (slot === undefined) return undefined;
    const bytes = new Uint8Array(SLOT_ENTRY_BYTES);
    this.#table.read(bytes, slot * SLOT_ENTRY_BYTES);
    const entry = readSlotEntry(new DataView(bytes.buffer), 0);
    // The entry was sound when the file was opened, so it has rotted since; nobody knows how new the page was.
    if (!entry || entry.page !== page) return this.#lost(Number.MAX_SAFE_INTEGER as Lsn);
    if (entry.kind === KIND_LOST) return { lsn: entry.lsn, content: undefined };
    const content = new Uint8Array(PAGE_SIZE);
    const whole = this.#pages.read(content, slot * PAGE_SIZE) === PAGE_SIZE;
    if (!whole || crc32(content) !== entry.dataChecksum) return this.#lost(entry.lsn);
    return { lsn: entry.lsn, content };
  }

  /** Begins a generation. One at a time; it is carried through or the process ends. */
  stage(pages: readonly NewPage[], lsn: Lsn, number: number): PageGeneration {
    assert(!this.damaged, 'pages are never added to a damaged file');
    const slots = pages.map(() => this.#map.take()).sort((a, b) => a - b);
    return new PageGeneration(
      { pages: this.#pages, table: this.#table, map: this.#map },
      pages.map((page, i) => ({ ...page, slot: slots[i], checksum: 0 })),
      { number, lsn, livePages: 0, tableDigest: 0 },
    );
  }

  [Symbol.dispose](): void {
    this.#pages[Symbol.dispose]();
    this.#table[Symbol.dispose]();
  }

  #lost(lsn: Lsn): BasePage {
    this.lostPages++;
    return { lsn, content: undefined };
  }
}

/** Pages of a run of neighbouring slots that one write takes. */
const PAGES_PER_WRITE = 32;

/** A generation on its way to the disk, in steps that can be repeated where the disk is full. */
export class PageGeneration {
  readonly #files: { pages: DiskFile; table: DiskFile; map: SlotMap };
  readonly #pages: PlacedPage[];
  readonly #generation: Generation;
  #written = 0;
  #step: 'pages' | 'sync' | 'table' | 'done' = 'pages';

  constructor(
    files: { pages: DiskFile; table: DiskFile; map: SlotMap },
    pages: PlacedPage[],
    generation: Generation,
  ) {
    this.#files = files;
    this.#pages = pages;
    this.#generation = generation;
  }

  /** Does a bounded piece of work. Answers true when both files are synced: then, and not before, the log may say so. */
  step(): boolean {
    switch (this.#step) {
      case 'pages':
        this.#writePages();
        if (this.#written === this.#pages.length) this.#step = 'sync';
        break;
      case 'sync':
        this.#files.pages.sync();
        this.#step = 'table';
        break;
      case 'table':
        this.#writeTable();
        this.#step = 'done';
        break;
      case 'done':
        break;
    }
    return this.#step === 'done';
  }

  /** What the log's entry says: the table as it will be with this generation. */
  get generation(): Generation {
    const { map } = this.#files;
    let { livePages, digest } = map;
    for (const { page, checksum } of this.#pages) {
      const replaced = map.checksum(page);
      if (replaced === undefined) livePages++;
      digest = (digest ^ checksum ^ (replaced ?? 0)) >>> 0;
    }
    return { ...this.#generation, livePages, tableDigest: digest };
  }

  /** The log's entry is durable. */
  complete(): void {
    assert(this.#step === 'done', 'a generation counts when it is on disk');
    for (const { page, slot, checksum } of this.#pages) this.#files.map.set(page, slot, checksum);
    this.#files.map.free.sort((a, b) => b - a);
  }

  /** Writes the next few pages; those that lie side by side go in one write. */
  #writePages(): void {
    const parts: Uint8Array[] = [];
    const first = this.#written;
    for (let i = first; i < this.#pages.length && parts.length < PAGES_PER_WRITE; i++) {
      if (this.#pages[i].slot !== this.#pages[first].slot + parts.length) break;
      parts.push(this.#pages[i].content ?? EMPTY_PAGE);
    }
    if (parts.length > 0) this.#files.pages.write(parts, this.#pages[first].slot * PAGE_SIZE);
    this.#written += parts.length;
  }

  #writeTable(): void {
    const bytes = new Uint8Array(this.#pages.length * SLOT_ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [i, placed] of this.#pages.entries()) {
      const { page, lsn, content, slot } = placed;
      const at = i * SLOT_ENTRY_BYTES;
      placed.checksum = writeSlotEntry(view, at, {
        page,
        kind: content ? KIND_PAGE : KIND_LOST,
        lsn,
        generation: this.#generation.number,
        dataChecksum: content ? crc32(content) : 0,
      });
      this.#files.table.write([bytes.subarray(at, at + SLOT_ENTRY_BYTES)], slot * SLOT_ENTRY_BYTES);
    }
    this.#files.table.sync();
  }
}

const EMPTY_PAGE = new Uint8Array(PAGE_SIZE);
