/**
 * A volume that began as a clone: pages that it never wrote are those of its base, which never changes. Nothing of the base is
 * on the storage nodes, so the first record of such a page must begin from zeroes and carry all of it (copy on write).
 *
 * Invariant: `has` says yes of exactly those pages that were read, were the base's, and were begun by no record of this life, durable
 * or on its way. Reads may overlap each other and the records, and be of a point below them: what was begun stays begun.
 */
import { Deferred, type Lsn, PAGE_SIZE, type PageNumber, type VolumeId } from '@rokka/kernel';
import { encodeRecord, FLAG_INIT, readRecordHeader, RECORD_BYTES_MAX, recordLengthAt } from '@rokka/quorum';
import type { AsyncRecordSink } from './record-sink.ts';

/** What a clone was made of: pages [0, pages) of another volume as of `lsn`, in its archive. */
export interface VolumeBase {
  readonly volume: VolumeId;
  readonly lsn: Lsn;
  readonly pages: number;
}

/** Gives the pages of a base. */
export interface BasePages {
  /** Of each page PAGE_SIZE bytes that belong to the caller; undefined for one that was never written. Each settles for itself. */
  readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[];
}

export class Inheritance {
  readonly #base: BasePages;
  readonly pages: number;
  /** A bit for each page of the base that was given and is not on the nodes. */
  readonly #inherited: Uint8Array;
  /** A bit for each page that a record of this life began, durable or not yet: what a read says of it is older. */
  readonly #begun: Uint8Array;
  readonly #isFirstLife: boolean;
  /** What is to be asked of the base at the end of this turn: pages that lie side by side are read together. */
  #wanted: { page: PageNumber; content: Deferred<Uint8Array | undefined> }[] = [];

  /** @param of.isFirstLife nobody has written to the volume before: what no record has begun is on no node */
  constructor(base: BasePages, of: { pages: number; isFirstLife: boolean }) {
    const { pages, isFirstLife } = of;
    this.#base = base;
    this.pages = pages;
    this.#isFirstLife = isFirstLife;
    this.#inherited = new Uint8Array(Math.ceil(pages / 8));
    this.#begun = new Uint8Array(Math.ceil(pages / 8));
  }

  has(page: PageNumber): boolean {
    return page < this.pages && (this.#inherited[page >>> 3] & (1 << (page & 7))) !== 0;
  }

  /** @param readOwn what the nodes have. They are not asked for what only the base can have */
  readMany(
    pages: readonly PageNumber[],
    readOwn: (pages: readonly PageNumber[]) => Promise<Uint8Array | undefined>[],
  ): Promise<Uint8Array | undefined>[] {
    const asked = pages.filter((page) => !this.#isFirstLife || page >= this.pages || this.#isBegun(page));
    const own = new Map(readOwn(asked).map((content, at) => [asked[at], content] as const));
    return pages.map((page) => this.fill(page, own.get(page)));
  }

  /** The page's content where the nodes say `own` of it. */
  async fill(page: PageNumber, own?: Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    const written = await own;
    if (written || page >= this.pages) return written;
    const content = await this.#read(page);
    if (content && !this.#isBegun(page)) this.#inherited[page >>> 3] |= 1 << (page & 7);
    return content;
  }

  /** The nodes get these records: pages that they begin are inherited no more. */
  appended(mtr: Uint8Array): void {
    const view = new DataView(mtr.buffer, mtr.byteOffset, mtr.byteLength);
    for (let at = 0; at < mtr.length;) {
      const { page, flags } = readRecordHeader(view, at);
      if (page < this.pages) {
        // One that the base never had begins with whatever record is its first.
        this.#begun[page >>> 3] |= 1 << (page & 7);
        if (flags & FLAG_INIT) this.#inherited[page >>> 3] &= ~(1 << (page & 7));
      }
      at += recordLengthAt(view, at) ?? mtr.length;
    }
  }

  #isBegun(page: PageNumber): boolean {
    return (this.#begun[page >>> 3] & (1 << (page & 7))) !== 0;
  }

  #read(page: PageNumber): Promise<Uint8Array | undefined> {
    const content = new Deferred<Uint8Array | undefined>();
    this.#wanted.push({ page, content });
    if (this.#wanted.length === 1) queueMicrotask(() => this.#ask());
    return content.promise;
  }

  #ask(): void {
    const wanted = this.#wanted.toSorted((a, b) => a.page - b.page);
    this.#wanted = [];
    const contents = this.#base.readMany(wanted.map(({ page }) => page));
    for (const [at, { content }] of wanted.entries())
      contents[at].then(
        (found) => content.resolve(found),
        (error: unknown) => content.reject(error),
      );
  }
}

/** Has the sink own a page as it gave it, if it is inherited still. @throws VOLUME_FENCED, or the reason for closing */
export async function adoptPage(sink: AsyncRecordSink, page: PageNumber, content: Uint8Array): Promise<void> {
  if (!sink.inherits?.(page)) return;
  await sink.whenRoom(RECORD_BYTES_MAX, 1);
  // Somebody may have begun it while there was no room.
  if (!sink.inherits(page)) return;
  const record = new Uint8Array(RECORD_BYTES_MAX);
  const ranges = [{ offset: 0, length: PAGE_SIZE }];
  sink.append(record.subarray(0, encodeRecord(record, 0, { page, init: true, ranges, content })), 1);
}
