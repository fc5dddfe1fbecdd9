/**
 * A volume's history in memory: random mini-transactions over a few groups, sealed as a writer seals them, and the twin of what an
 * archive must give back: every page at every LSN, by replaying all that came before.
 */
import {
  asEpoch,
  asLsn,
  asPageNumber,
  CodedError,
  type Lsn,
  PAGE_SIZE,
  type PageNumber,
  type PgIndex,
  type SeededRandom,
  type VolumeId,
} from '@rokka/kernel';
import { applyRecord, encodeRecord, sealRecord } from '@rokka/quorum';
import type { ArchivedVolume } from '../archiver.ts';

const PAGES_PER_GROUP = 8;
const GROUPS = 3;
/** Changed again and again, at the same few places, where a history is told to. */
const HOT_PAGE = asPageNumber(0);
const HOT_PLACES = [40, 4_000, 4_056];
const CHANGE_BYTES = 16;

interface Written {
  readonly lsn: Lsn;
  readonly pg: PgIndex;
  readonly page: PageNumber;
  readonly record: Uint8Array;
}

export class History implements ArchivedVolume {
  readonly volumeId: VolumeId;
  /** Each archiver is another writer's. */
  volumeEpoch = asEpoch(1);
  readonly pagesPerGroup = PAGES_PER_GROUP;
  readonly groupCount = GROUPS;
  readonly pageCount = PAGES_PER_GROUP * GROUPS;
  readonly held = new Map<PgIndex, Lsn>();
  readonly #random: SeededRandom;
  readonly #hotChanges: number;
  readonly #base: ((page: PageNumber) => Uint8Array | undefined) | undefined;
  readonly #written: Written[] = [];
  durable = asLsn(0);
  appendedBytes = 0;
  /** Log at or below is on no node any more. */
  droppedTo = asLsn(0);

  constructor(options: {
    volumeId: string;
    random: SeededRandom;
    /** Of one page, with each mini-transaction. */
    hotChanges?: number;
    base?: (page: PageNumber) => Uint8Array | undefined;
  }) {
    this.volumeId = options.volumeId as VolumeId;
    this.#random = options.random;
    this.#hotChanges = options.hotChanges ?? 0;
    this.#base = options.base;
  }

  /** One mini-transaction of a few pages, durable at once. */
  write(): void {
    const count = 1 + this.#random.below(3);
    const pages = new Set(Array.from({ length: count }, () => this.#random.below(this.pageCount)));
    for (const page of pages)
      this.#append({ page: asPageNumber(page), at: this.#random.below(PAGE_SIZE - CHANGE_BYTES), anew: 0.2 });
    for (let i = 0; i < this.#hotChanges; i++)
      this.#append({ page: HOT_PAGE, at: this.#random.pick(HOT_PLACES), anew: 0 });
    this.durable = asLsn(this.#written.length);
  }

  /** The page as of `lsn`; undefined for one never written. */
  pageAt(page: PageNumber, lsn: Lsn): Uint8Array | undefined {
    const records = this.#written.filter((one) => one.page === page && one.lsn <= lsn);
    const inherited = this.#base?.(page);
    if (records.length === 0) return inherited;
    const content = inherited?.slice() ?? new Uint8Array(PAGE_SIZE);
    for (const { record } of records) applyRecord(record, content);
    return content;
  }

  lastDurableOf(pg: PgIndex): Lsn {
    return this.#written.findLast((one) => one.pg === pg)?.lsn ?? asLsn(0);
  }

  async fetchLog(pg: PgIndex, of: { after: Lsn; through: Lsn; limitBytes: number }): Promise<Uint8Array> {
    if (of.after < this.droppedTo) throw new CodedError('VOLUME_LOG_DROPPED', 'told to');
    const records = this.#written.filter(
      (one) => one.pg === pg && one.lsn > of.after && one.lsn <= of.through,
    );
    const some = records.slice(0, 1 + this.#random.below(3));
    return Buffer.concat(some.map(({ record }) => record));
  }

  /** A page at a time, while the volume goes on; each may show more than it must. */
  async copyPages(pg: PgIndex, of: { from: number; least: Lsn }) {
    const page = asPageNumber(pg * PAGES_PER_GROUP + of.from);
    if (this.#random.chance(0.5)) this.write();
    const content = this.pageAt(page, this.durable);
    const pages = content ? [{ page: of.from, content }] : [];
    const coalesced = asLsn(Math.max(of.least, this.droppedTo, this.durable - this.#random.below(6)));
    return { coalesced, shows: this.durable, next: of.from + 1, pages };
  }

  holdLog(pg: PgIndex, after: Lsn): void {
    this.held.set(pg, after);
  }

  /** @param of.anew how likely it is that the record needs nothing older, where it need not be */
  #append({ page, at, anew }: { page: PageNumber; at: number; anew: number }): void {
    const before = this.pageAt(page, this.durable);
    const isOwn = this.#written.some((one) => one.page === page);
    const init = this.#random.chance(anew) || (before !== undefined && !isOwn);
    const content = new Uint8Array(PAGE_SIZE);
    if (init && before && !isOwn) content.set(before);
    for (let i = 0; i < CHANGE_BYTES; i++) content[at + i] = this.#random.below(256);
    const ranges = init ? [{ offset: 0, length: PAGE_SIZE }] : [{ offset: at, length: CHANGE_BYTES }];
    const room = new Uint8Array(PAGE_SIZE + 256);
    const record = room.slice(0, encodeRecord(room, 0, { page, init, ranges, content }));
    const lsn = asLsn(this.#written.length + 1);
    const pg = Math.floor(page / PAGES_PER_GROUP) as PgIndex;
    const last = this.#written.findLast((one) => one.pg === pg)?.lsn ?? asLsn(0);
    sealRecord(record, {
      lsn,
      previousVolumeLsn: asLsn(lsn - 1),
      previousPgLsn: last,
      previousPageLsn: asLsn(0),
      volumeEpoch: this.volumeEpoch,
      pg,
      cpl: true,
    });
    this.#written.push({ lsn, pg, page, record });
    this.appendedBytes += record.length;
  }
}
