/** A dumb writer for tests: makes sealed records of one protection group, and the pages that they should give. */
import { PAGE_SIZE, type Epoch, type Lsn, type PageNumber, type PgIndex } from '@rokka/kernel';
import { applyRecord, encodeRecord, RECORD_BYTES_MAX, sealRecord } from '@rokka/quorum';

export interface MadeRecord {
  lsn: Lsn;
  page: number;
  bytes: Uint8Array;
}

export interface RecordDraft {
  page: number;
  offset?: number;
  content?: Uint8Array;
  init?: boolean;
  cpl?: boolean;
}

export class RecordMaker {
  readonly made: MadeRecord[] = [];
  readonly #pg: PgIndex;
  epoch: Epoch;
  lastLsn = 0 as Lsn;
  readonly #lastOfPage = new Map<number, Lsn>();
  #previousPgLsn = 0 as Lsn;

  constructor(options: { pg?: number; epoch?: number } = {}) {
    this.#pg = (options.pg ?? 0) as PgIndex;
    this.epoch = (options.epoch ?? 1) as Epoch;
  }

  make(draft: RecordDraft): MadeRecord {
    const {
      page,
      offset = 0,
      content = new Uint8Array([this.lastLsn & 0xff]),
      init = false,
      cpl = true,
    } = draft;
    const image = new Uint8Array(PAGE_SIZE);
    image.set(content, offset);
    const buffer = new Uint8Array(RECORD_BYTES_MAX);
    const length = encodeRecord(buffer, 0, {
      page: page as PageNumber,
      init,
      ranges: [{ offset, length: content.length }],
      content: image,
    });
    const bytes = buffer.slice(0, length);
    const lsn = (this.lastLsn + 1) as Lsn;
    sealRecord(bytes, {
      lsn,
      previousVolumeLsn: this.lastLsn,
      previousPgLsn: this.#previousPgLsn,
      previousPageLsn: this.#lastOfPage.get(page) ?? (0 as Lsn),
      volumeEpoch: this.epoch,
      pg: this.#pg,
      cpl,
    });
    this.lastLsn = lsn;
    this.#previousPgLsn = lsn;
    this.#lastOfPage.set(page, lsn);
    const record = { lsn, page, bytes };
    this.made.push(record);
    return record;
  }

  /** `count` records for pages below `pages`, each with its own bytes. */
  many(count: number, options: { pages?: number; bytes?: number } = {}): MadeRecord[] {
    const { pages = 4, bytes = 16 } = options;
    return Array.from({ length: count }, () =>
      this.make({
        page: (Math.imul(this.lastLsn, 0x9e3779b1) >>> 16) % pages,
        offset: (this.lastLsn * 13) % (PAGE_SIZE - bytes),
        content: new Uint8Array(bytes).fill((this.lastLsn + 1) & 0xff),
      }),
    );
  }

  /** A recovery: what is above `after` is annulled, new records lie above `through`. */
  truncate(options: { after: number; through: number; epoch: number }): void {
    const { after, through, epoch } = options;
    this.made.splice(0, this.made.length, ...this.made.filter(({ lsn }) => lsn <= after));
    this.#lastOfPage.clear();
    for (const { page, lsn } of this.made) this.#lastOfPage.set(page, lsn);
    this.#previousPgLsn = this.made.at(-1)?.lsn ?? (0 as Lsn);
    this.lastLsn = through as Lsn;
    this.epoch = epoch as Epoch;
  }

  /** The page as of `readPoint`, from the very beginning. */
  page(page: number, readPoint = this.lastLsn): { lsn: number; content: Uint8Array } {
    const content = new Uint8Array(PAGE_SIZE);
    let lsn = 0;
    for (const record of this.made) {
      if (record.page !== page || record.lsn > readPoint) continue;
      applyRecord(record.bytes, content);
      lsn = record.lsn;
    }
    return { lsn, content };
  }
}

export function joined(records: readonly MadeRecord[]): Uint8Array {
  return Buffer.concat(records.map(({ bytes }) => bytes));
}
