/**
 * Turns the page cache's records into log: gives each its LSN, its three back-links, its epoch and its checksum, and
 * marks the last record of the mini-transaction as a consistency point (P17 §4.1).
 *
 * Invariants: LSNs are dense while this writer lives; the links of the first records after recovery point at the last
 * records that recovery kept, never into a truncation range (aurora.md trap 8).
 */
import { assert, mutant, type Epoch, type Lsn, type PageNumber, type PgIndex } from '@rokka/kernel';
import { recordLengthAt, sealRecord } from '@rokka/quorum';
import type { VolumeRecord } from './volume-record.ts';

/** Contiguous records of one protection group. */
export interface SealedRun {
  readonly pg: PgIndex;
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly bytes: Uint8Array;
}

const PAGE_LINKS_MAX = 1 << 15;

export class Sealer {
  readonly #volumeEpoch: Epoch;
  readonly #pagesPerGroup: number;
  #lastVolumeLsn: Lsn;
  readonly #lastPgLsn: Lsn[];
  // The block chain's heads, for the pages written lately: a direct-mapped table, because a complete one would cost
  // memory for every page of the volume. A page that fell out has the link 0, "unknown": readers go by LSN order then.
  readonly #linkPage: Float64Array;
  readonly #linkLsn: Float64Array;

  constructor(options: {
    volume: Pick<VolumeRecord, 'volumeEpoch' | 'pagesPerGroup' | 'groupsMax'>;
    /** The last LSN that recovery kept, in the volume and in each protection group. */
    lastVolumeLsn: Lsn;
    lastPgLsn: readonly Lsn[];
  }) {
    const { volumeEpoch, pagesPerGroup, groupsMax } = options.volume;
    this.#volumeEpoch = volumeEpoch;
    this.#pagesPerGroup = pagesPerGroup;
    this.#lastVolumeLsn = options.lastVolumeLsn;
    this.#lastPgLsn = [...options.lastPgLsn];
    const links = Math.min(PAGE_LINKS_MAX, pagesPerGroup * groupsMax);
    this.#linkPage = new Float64Array(links).fill(-1);
    this.#linkLsn = new Float64Array(links);
  }

  pgOf(page: PageNumber): PgIndex {
    return Math.floor(page / this.#pagesPerGroup) as PgIndex;
  }

  /** A protection group was added at the end of the volume. */
  addGroup(): void {
    this.#lastPgLsn.push(0 as Lsn);
  }

  /**
   * Seals the `count` records of one mini-transaction in place with the LSNs from `firstLsn` on.
   * @returns the records cut into runs of one protection group each, views of `mtr`
   */
  seal(mtr: Uint8Array, count: number, firstLsn: Lsn): SealedRun[] {
    const view = new DataView(mtr.buffer, mtr.byteOffset, mtr.byteLength);
    const runs: SealedRun[] = [];
    let at = 0;
    let runStart = 0;
    let runFirst = firstLsn;
    let runPg = -1;
    for (let index = 0; index < count; index++) {
      const length = recordLengthAt(view, at);
      assert(length !== undefined, 'the page cache made a record that is not one');
      const page = (view.getUint32(at + 40, true) + view.getUint32(at + 44, true) * 2 ** 32) as PageNumber;
      const pg = this.pgOf(page);
      const lsn = (firstLsn + index) as Lsn;
      if (pg !== runPg) {
        if (runPg >= 0) {
          runs.push(run(mtr, runPg, { from: runStart, to: at, firstLsn: runFirst, lastLsn: lsn - 1 }));
        }
        runPg = pg;
        runStart = at;
        runFirst = lsn;
      }
      const cpl = index === count - 1 || mutant('every-record-a-cpl');
      this.#sealOne(mtr.subarray(at, at + length), { lsn, page, pg, cpl });
      at += length;
    }
    assert(at === mtr.length, 'bytes behind the last record of a mini-transaction');
    runs.push(run(mtr, runPg, { from: runStart, to: at, firstLsn: runFirst, lastLsn: firstLsn + count - 1 }));
    return runs;
  }

  #sealOne(record: Uint8Array, of: { lsn: Lsn; page: PageNumber; pg: PgIndex; cpl: boolean }): void {
    const { lsn, page, pg, cpl } = of;
    assert(
      pg < this.#lastPgLsn.length,
      () => `page ${page} lies in protection group ${pg}, which is not mapped`,
    );
    const slot = page % this.#linkPage.length;
    sealRecord(record, {
      lsn,
      previousVolumeLsn: this.#lastVolumeLsn,
      previousPgLsn: this.#lastPgLsn[pg],
      previousPageLsn: (this.#linkPage[slot] === page ? this.#linkLsn[slot] : 0) as Lsn,
      volumeEpoch: this.#volumeEpoch,
      pg,
      cpl,
    });
    this.#lastVolumeLsn = lsn;
    this.#lastPgLsn[pg] = lsn;
    this.#linkPage[slot] = page;
    this.#linkLsn[slot] = lsn;
  }
}

function run(
  mtr: Uint8Array,
  pg: number,
  span: { from: number; to: number; firstLsn: number; lastLsn: number },
): SealedRun {
  return {
    pg: pg as PgIndex,
    firstLsn: span.firstLsn as Lsn,
    lastLsn: span.lastLsn as Lsn,
    bytes: mtr.subarray(span.from, span.to),
  };
}
