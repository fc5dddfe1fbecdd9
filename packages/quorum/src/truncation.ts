/**
 * Truncation ranges: LSNs that a recovery annulled for ever. A late record inside one must never count, whichever way it
 * comes: from the old writer, by gossip, by hydration (aurora.md trap 7).
 *
 * Ranges accumulate, one a volume epoch, and a later epoch's judgement wins. A recovery that knew an older range either
 * swallows it (nothing was written since) or begins above it (something was). A later range that does neither was made
 * in ignorance of the older one. So the older one never reached a write quorum, so nothing was ever written under it, and
 * it is void; and it must be void, because the later recovery may have kept records inside it and acknowledged them.
 */
import { mutant, type Epoch, type Lsn } from '@rokka/kernel';
import { quorumErrors } from './errors.ts';

/** LSNs in (after, through] were annulled by the recovery that opened `volumeEpoch`. */
export interface TruncationRange {
  readonly volumeEpoch: Epoch;
  readonly after: Lsn;
  readonly through: Lsn;
}

/** An immutable set of ranges. The order in which they became known makes no difference. */
export class Truncation {
  static readonly none = new Truncation([]);

  /** All that are known, by epoch. Void ones too: a range that makes another void may turn out to be void itself. */
  readonly known: readonly TruncationRange[];
  /** Those in force: disjoint, ascending in LSN and in epoch. */
  readonly inForce: readonly TruncationRange[];
  /** No LSN above this is annulled; 0 where none is. */
  readonly top: Lsn;

  readonly #byEpoch: ReadonlyMap<Epoch, TruncationRange>;

  private constructor(known: readonly TruncationRange[]) {
    this.known = known;
    this.#byEpoch = new Map(known.map((range) => [range.volumeEpoch, range]));
    this.inForce = judged(known);
    this.top = this.inForce.at(-1)?.through ?? (0 as Lsn);
  }

  /** @throws QUORUM_RANGE_CONFLICT where two differ under one epoch */
  static of(ranges: Iterable<TruncationRange>): Truncation {
    return Truncation.none.with(ranges);
  }

  /** These ranges and more; the same object where that changes nothing. @throws QUORUM_RANGE_CONFLICT */
  with(ranges: Iterable<TruncationRange>): Truncation {
    const added = new Map<Epoch, TruncationRange>();
    for (const { volumeEpoch, after, through } of ranges) {
      const range = { volumeEpoch, after, through };
      const known = this.#byEpoch.get(volumeEpoch) ?? added.get(volumeEpoch);
      if (known && !sameRange(known, range))
        throw quorumErrors.QUORUM_RANGE_CONFLICT([volumeEpoch, describeRange(known), describeRange(range)]);
      if (!known) added.set(volumeEpoch, range);
    }
    if (added.size === 0) return this;
    const known = [...this.known, ...added.values()].sort((a, b) => a.volumeEpoch - b.volumeEpoch);
    return new Truncation(mutant('ranges-forgotten') ? known.slice(-1) : known);
  }

  /**
   * Forgets what can never matter again once the writer of `volumeEpoch` has served: its range is on a write quorum, so
   * every later recovery knows it, and what it has made void or swallowed stays so. Keeps the list short over the years.
   */
  served(volumeEpoch: Epoch): Truncation {
    const upTo = this.known.filter((range) => range.volumeEpoch <= volumeEpoch);
    if (upTo.at(-1)?.volumeEpoch !== volumeEpoch) return this;
    const kept = judged(upTo);
    if (kept.length === upTo.length) return this;
    return new Truncation([...kept, ...this.known.slice(upTo.length)]);
  }

  has(range: TruncationRange): boolean {
    const known = this.#byEpoch.get(range.volumeEpoch);
    return known !== undefined && sameRange(known, range);
  }

  /** Whether `lsn` is annulled. */
  covers(lsn: Lsn): boolean {
    return this.covering(lsn) !== undefined;
  }

  /** The range that annuls `lsn`, if one does. */
  covering(lsn: Lsn): TruncationRange | undefined {
    if (lsn > this.top || this.inForce.length === 0) return undefined;
    let low = 0;
    let high = this.inForce.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.inForce[middle].through < lsn) low = middle + 1;
      else high = middle;
    }
    return lsn > this.inForce[low].after ? this.inForce[low] : undefined;
  }
}

/**
 * From the newest down, each range stays if it lies below all newer ones in force: then their authors knew it, for they
 * had records of its writer. One that is swallowed adds nothing; one that is cut across is void.
 */
function judged(byEpoch: readonly TruncationRange[]): TruncationRange[] {
  const inForce: TruncationRange[] = [];
  let floor = Infinity;
  for (const range of [...byEpoch].reverse()) {
    if (range.through >= floor) continue;
    inForce.push(range);
    floor = range.after;
  }
  return inForce.reverse();
}

function sameRange(a: TruncationRange, b: TruncationRange): boolean {
  return a.volumeEpoch === b.volumeEpoch && a.after === b.after && a.through === b.through;
}

function describeRange(range: TruncationRange): string {
  return `(${range.after}, ${range.through}]`;
}
