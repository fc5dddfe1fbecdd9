/**
 * The segment chain of quorum, and beside it where each of its records lies in this node's log. Decisions are the chain's;
 * this file only keeps the places in step with them.
 *
 * Invariant: the index holds exactly the records of the chain in (base, scl], in chain order.
 */
import { assert, type Lsn } from '@rokka/kernel';
import { SegmentChain, type Acceptance, type Truncation, type TruncationRange } from '@rokka/quorum';
import { RecordIndex, type IndexedRecord } from './record-index.ts';

export interface ChainWatcher {
  /** The record at `ordinal` has become part of the chain. */
  added(ordinal: number): void;
  /** The record at `ordinal`, the last of the chain, is about to leave it. */
  removing(ordinal: number): void;
}

/** Records kept ahead of holes. What is over the limit is dropped unacknowledged and comes again by gossip. */
const HELD_MAX = 16_384;

export class PlacedChain {
  readonly index = new RecordIndex();
  readonly #chain: SegmentChain;
  readonly #watcher: ChainWatcher;
  /** Places of the records above holes, by the record before them. Not on the path of a healthy writer. */
  readonly #held = new Map<Lsn, IndexedRecord>();
  /** The index starts after this record; 0 or the last that was dropped from the log. */
  #base: Lsn;

  constructor(options: { base: Lsn; ranges: readonly TruncationRange[]; watcher: ChainWatcher }) {
    const { base, ranges, watcher } = options;
    this.#chain = new SegmentChain({ base, ranges, islandsMax: HELD_MAX });
    this.#base = base;
    this.#watcher = watcher;
  }

  get base(): Lsn {
    return this.#base;
  }

  /**
   * Takes over the records of another chain of the same segment that hang together with this one's base, or wait above it:
   * a segment that begins anew at what a peer has keeps what was sent to it meanwhile.
   */
  takeOver(other: PlacedChain): void {
    const { index } = other;
    const place: IndexedRecord = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
    let previous = other.#base;
    for (let at = index.first; at < index.end; at++) {
      index.read(at, place);
      if (previous >= this.#base) this.accept(place, previous);
      previous = place.lsn;
    }
    for (const [before, record] of other.#held) if (before >= this.#base) this.accept(record, before);
  }

  get scl(): Lsn {
    return this.#chain.scl;
  }

  get truncation(): Truncation {
    return this.#chain.truncation;
  }

  /** The highest LSN that is here, whatever lacks below it. */
  get highestHeld(): Lsn {
    let highest = this.scl;
    for (const { lsn } of this.#held.values()) if (lsn > highest) highest = lsn;
    return highest;
  }

  get heldCount(): number {
    return this.#held.size;
  }

  /** Takes note of a record that lies at `record`'s place. Where it was taken, `record` was copied; else it is forgotten. */
  accept(record: IndexedRecord, previous: Lsn): Acceptance {
    const acceptance = this.#chain.accept(record.lsn, previous);
    if (acceptance === 'appended') {
      this.#push(record);
      if (this.#held.size > 0) this.#drain();
      assert(this.index.lsnAt(this.index.end - 1) === this.#chain.scl, 'places out of step with the chain');
    } else if (acceptance === 'held') {
      this.#held.set(previous, { ...record });
    }
    return acceptance;
  }

  /** @throws QUORUM_RANGE_BELOW_DURABLE, QUORUM_RANGE_CONFLICT; then nothing has changed */
  truncate(ranges: readonly TruncationRange[]): void {
    this.#chain.truncate(ranges);
    const end = this.#firstAnnulled();
    while (this.index.end > end) {
      this.#watcher.removing(this.index.end - 1);
      this.index.pop();
    }
    for (const [previous, record] of this.#held)
      if (this.#chain.annuls(record.lsn, previous)) this.#held.delete(previous);
    this.#drain();
    const last = this.index.end > this.index.first ? this.index.lsnAt(this.index.end - 1) : this.#base;
    assert(last === this.#chain.scl, 'places out of step with the chain');
  }

  /** Everything up to `vdl` is durable for ever. */
  settle(vdl: Lsn): void {
    this.#chain.settle(vdl);
  }

  /** The last record of the chain at or below `lsn`; the base where there is none. */
  lastAtOrBelow(lsn: Lsn): Lsn {
    const ordinal = this.index.firstAbove(lsn) - 1;
    return ordinal >= this.index.first ? this.index.lsnAt(ordinal) : this.#base;
  }

  /** Forgets the places up to `lsn`, a record of the chain that is settled. */
  dropThrough(lsn: Lsn): void {
    assert(lsn <= this.scl, 'only what is complete may be dropped');
    if (lsn <= this.#base) return;
    assert(this.lastAtOrBelow(lsn) === lsn, 'a floor is a record of the chain');
    this.index.dropThrough(lsn);
    this.#base = lsn;
  }

  #firstAnnulled(): number {
    let first = this.index.end;
    for (const { after, through } of this.#chain.truncation.inForce) {
      const ordinal = this.index.firstAbove(after);
      if (ordinal < first && this.index.lsnAt(ordinal) <= through) first = ordinal;
    }
    return first;
  }

  #drain(): void {
    const { index } = this;
    let last = index.end > index.first ? index.lsnAt(index.end - 1) : this.#base;
    for (let next = this.#held.get(last); next; next = this.#held.get(last)) {
      this.#held.delete(last);
      this.#push(next);
      last = next.lsn;
    }
  }

  #push(record: IndexedRecord): void {
    this.#watcher.added(this.index.push(record));
  }
}
