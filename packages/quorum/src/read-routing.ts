/**
 * Which segment to ask for a page. In normal running a read asks one member, not a quorum: the writer knows from acks who
 * is complete (P17 §4.2.3, P18 §3.1). The fastest full member is asked, and where so much is asked of it already that a read would wait,
 * the one that is through soonest: a node reads one page after the other from its disk. Now and then another one is asked beside it, so that a
 * member that has become fast again is noticed; and a second one when the first is late.
 */
import { assert, must, type Lsn } from '@rokka/kernel';
import type { MemberKind } from './formulas.ts';

/** One read in this many asks another member as well. */
export const PROBE_EVERY = 64;
/** Until enough latencies are known. */
export const HEDGE_DELAY_MS_INITIAL = 10;
export const HEDGE_DELAY_MS_MIN = 0.5;
export const HEDGE_DELAY_MS_MAX = 1000;

/** Weight of a new latency in the moving average. */
const EWMA_WEIGHT = 0.2;
/** A failure sets the average to twice what it was, within these: a fast refusal must not look like speed. */
const FAILED_MS_MIN = 100;
const FAILED_MS_MAX = 10_000;
/** What a member may have before it for a read to go there all the same: another one that is woken for it costs CPU. */
const QUEUE_MS = 0.5;
const SAMPLES = 128;
const SAMPLES_MIN = 16;
const HEDGE_QUANTILE = 0.95;

export interface ReadChoice {
  readonly member: number;
  /** Another member to ask at the same time, only to learn its latency. */
  readonly probe?: number;
}

/** The members of one protection group, by their place in its member list. */
export class ReadRouter {
  readonly #kinds: readonly MemberKind[];
  /** Moving averages; 0 where nothing was measured, so that each member is tried early. */
  readonly #latencyMs: Float64Array;
  /** Of one page, where a member serves one after the other: moving averages, 0 where nothing was measured. */
  readonly #pageMs: Float64Array;
  /** Pages that were asked of a member, and have not been answered. */
  readonly #open: Uint32Array;
  readonly #samplesMs = new Float64Array(SAMPLES);
  #sampleCount = 0;
  #hedgeDelayMs = HEDGE_DELAY_MS_INITIAL;

  constructor(kinds: readonly MemberKind[]) {
    this.#kinds = [...kinds];
    this.#latencyMs = new Float64Array(kinds.length);
    this.#pageMs = new Float64Array(kinds.length);
    this.#open = new Uint32Array(kinds.length);
  }

  /**
   * A full member with an SCL of at least `requiredScl`: that which has been fastest, or will have answered what it was asked soonest;
   * undefined where there is none, then wait for an ack.
   *
   * @param query.scls by member, undefined where unknown or unreachable
   * @param query.requiredScl last LSN of this group at or below the read point (ProgressTracker.lastLsnAtOrBelow)
   * @param query.sample a number in [0, 1), fresh for each read: decides whether and whom to probe
   */
  choose(query: {
    scls: readonly (Lsn | undefined)[];
    requiredScl: Lsn;
    sample: number;
  }): ReadChoice | undefined {
    const { scls, requiredScl, sample } = query;
    assert(sample >= 0 && sample < 1, 'sample out of range');
    const able = this.#able(scls, requiredScl);
    if (able.length === 0) return undefined;
    const fastest = least(able, this.#latencyMs);
    const waits = this.#pageMs[fastest] * this.#open[fastest] > QUEUE_MS;
    const member = waits ? this.#soonest(able) : fastest;
    const others = able.filter((other) => other !== member);
    if (others.length === 0 || sample >= 1 / PROBE_EVERY) return { member };
    return { member, probe: others[Math.floor(sample * PROBE_EVERY * others.length)] };
  }

  /** Whom to ask when the members in `asked` are late or have failed: the fastest of the rest. */
  second(query: {
    scls: readonly (Lsn | undefined)[];
    requiredScl: Lsn;
    asked: readonly number[];
  }): number | undefined {
    const able = this.#able(query.scls, query.requiredScl).filter((member) => !query.asked.includes(member));
    return able.length === 0 ? undefined : least(able, this.#latencyMs);
  }

  /** So many pages are asked of a member; `answered` follows, whatever comes of it. Answers how many it has to answer now. */
  asked(member: number, pages: number): number {
    return (this.#open[member] += pages);
  }

  answered(member: number, pages: number): void {
    assert(must(this.#open[member], 'no such member') >= pages, 'no more is answered than was asked');
    this.#open[member] -= pages;
  }

  /**
   * An answer came after `latencyMs`, or a hedged read was given up at that age: then it is at least that slow.
   * @param depth what `asked` said: pages that the member had to answer within that time
   */
  measured(member: number, latencyMs: number, depth: number): void {
    average(this.#latencyMs, member, latencyMs);
    average(this.#pageMs, member, latencyMs / depth);
    this.#samplesMs[this.#sampleCount++ % SAMPLES] = latencyMs;
    // The quantile moves slowly; sorting once in a while keeps reads cheap.
    if (this.#sampleCount >= SAMPLES_MIN && this.#sampleCount % SAMPLES_MIN === 0) this.#refreshHedgeDelay();
  }

  /** The member refused, broke off or missed its deadline; it comes back through probes. */
  failed(member: number): void {
    const doubled = 2 * this.latencyMs(member);
    this.#latencyMs[member] = Math.min(FAILED_MS_MAX, Math.max(FAILED_MS_MIN, doubled));
    this.#pageMs[member] = this.#latencyMs[member];
  }

  latencyMs(member: number): number {
    return must(this.#latencyMs[member], 'no such member');
  }

  /** After this long without an answer ask a second member: the 95th percentile of recent answers of this group. */
  get hedgeDelayMs(): number {
    return this.#hedgeDelayMs;
  }

  #able(scls: readonly (Lsn | undefined)[], requiredScl: Lsn): number[] {
    const able: number[] = [];
    for (let member = 0; member < this.#kinds.length; member++) {
      const scl = scls[member];
      if (this.#kinds[member] === 'full' && scl !== undefined && scl >= requiredScl) able.push(member);
    }
    return able;
  }

  /** By when one page more would be answered: a member that is slow, or has failed, is so without anything before it as well. */
  #soonest(members: readonly number[]): number {
    const ms = (member: number) => this.#pageMs[member] * (this.#open[member] + 1);
    return members.reduce((best, member) => (ms(member) < ms(best) ? member : best));
  }

  #refreshHedgeDelay(): void {
    const sorted = this.#samplesMs.slice(0, Math.min(this.#sampleCount, SAMPLES)).sort();
    const quantile = sorted[Math.floor(sorted.length * HEDGE_QUANTILE)];
    this.#hedgeDelayMs = Math.min(HEDGE_DELAY_MS_MAX, Math.max(HEDGE_DELAY_MS_MIN, quantile));
  }
}

function least(members: readonly number[], by: Float64Array): number {
  return members.reduce((best, member) => (by[member] < by[best] ? member : best));
}

function average(of: Float64Array, member: number, latest: number): void {
  const known = must(of[member], 'no such member');
  of[member] = known === 0 ? latest : known + EWMA_WEIGHT * (latest - known);
}

/**
 * The read points of one instance that are in use. Their least is its PGMRPL (P17 §4.2.3): no read below it will come, so
 * nodes may fold older versions into pages. It never exceeds the VDL, for the next read may be issued at the VDL.
 */
export class ReadPoints {
  /** Readers by read point; points only grow, so insertion order is ascending. */
  readonly #readers = new Map<Lsn, number>();
  #latest = 0 as Lsn;

  /** A read begins at `vdl`, the volume's VDL of this moment. Close it with the same number. */
  open(vdl: Lsn): void {
    assert(vdl >= this.#latest, () => `read point ${vdl} after ${this.#latest}: the VDL does not fall`);
    this.#latest = vdl;
    this.#readers.set(vdl, (this.#readers.get(vdl) ?? 0) + 1);
  }

  close(readPoint: Lsn): void {
    const readers = must(this.#readers.get(readPoint), 'read point is not open');
    if (readers === 1) this.#readers.delete(readPoint);
    else this.#readers.set(readPoint, readers - 1);
  }

  /** The least open read point, or the VDL where none is. */
  pgmrpl(vdl: Lsn): Lsn {
    for (const point of this.#readers.keys()) return point < vdl ? point : vdl;
    return vdl;
  }
}
