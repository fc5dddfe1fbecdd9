/**
 * The segments that nodes may hold, by number, and what becomes of one when a record, a fence or a peer arrives. Each step
 * rebuilds the real chain from what would be on the disk, so every step is also a restart, and is worked out once.
 */
import { asLsn, must, type Epoch, type Lsn } from '@rokka/kernel';
import type { SegmentAnswer } from '../../recovery-decision.ts';
import { SegmentChain } from '../../segment-chain.ts';
import { Truncation, type TruncationRange } from '../../truncation.ts';
import { Interned, Memo } from './interned.ts';
import type { Rules } from './rules.ts';

export interface ModelRecord {
  readonly lsn: Lsn;
  readonly previous: Lsn;
  /** Volume epoch of its writer. */
  readonly by: number;
}

/** A membership epoch, and whose it is: with a registry that compares and sets there is one author an epoch. */
export interface MembershipName {
  readonly epoch: number;
  readonly author: number;
}

export interface SegmentState {
  readonly volumeEpoch: number;
  readonly membership: MembershipName;
  readonly hydrating: boolean;
  readonly vdl: Lsn;
  readonly ranges: readonly TruncationRange[];
  readonly chain: readonly ModelRecord[];
  /** Records above a hole. */
  readonly islands: readonly ModelRecord[];
}

export interface Fence {
  readonly volumeEpoch: number;
  readonly membership: MembershipName;
  readonly ranges: readonly TruncationRange[];
}

/** The node has none. */
export const NO_SEGMENT = 0;
/** Nothing was answered. */
export const NO_ANSWER = 0;

const NOTHING: SegmentState = {
  volumeEpoch: 0,
  membership: { epoch: 0, author: 0 },
  hydrating: true,
  vdl: asLsn(0),
  ranges: [],
  chain: [],
  islands: [],
};

export class Segments {
  readonly #rules: Rules;
  readonly #states = new Interned<SegmentState>();
  readonly #answers = new Interned<Omit<SegmentAnswer, 'volumeEpoch'>>();
  readonly #ships = new Memo<number>();
  readonly #fences = new Memo<number>();
  readonly #gossip = new Map<number, number>();
  /** By segment: its SCL, the LSNs of its chain and of all its records as bits, its answer. */
  readonly #scls: Lsn[] = [];
  readonly #held: number[] = [];
  readonly #all: number[] = [];
  readonly #answerOf: number[] = [];
  readonly #annulled: (Lsn | undefined)[] = [];

  constructor(rules: Rules) {
    this.#rules = rules;
    this.#answers.id('', { scl: asLsn(0), vdl: asLsn(0), ranges: [], tail: [], damaged: false });
    this.#intern(NOTHING);
  }

  get count(): number {
    return this.#states.size;
  }

  at(id: number): SegmentState {
    return this.#states.at(id);
  }

  scl(id: number): Lsn {
    return must(this.#scls[id]);
  }

  /** Whether the chain has the record. LSNs are unique among writers, which the search checks as it goes. */
  holds(id: number, lsn: number): boolean {
    return (must(this.#held[id]) & (1 << lsn)) !== 0;
  }

  /** A record of the chain that the segment's own ranges forbid. */
  annulled(id: number): Lsn | undefined {
    return this.#annulled[id];
  }

  /** LSNs of all records, those above holes too, as bits. */
  recordBits(id: number): number {
    return must(this.#all[id]);
  }

  /** A newcomer, or a member of a new volume, without a record. */
  empty(options: { volumeEpoch: number; membership: MembershipName; hydrating: boolean }): number {
    return this.#intern({ ...NOTHING, ...options });
  }

  /** What the segment says when it is fenced, as a number. */
  answerOf(id: number): number {
    return must(this.#answerOf[id]);
  }

  /** Whether the answer counts as knowledge. */
  answerIsKnown(answer: number): boolean {
    return answer !== NO_ANSWER && this.#answers.at(answer).hydrating !== true;
  }

  answer(answer: number, volumeEpoch: number): SegmentAnswer {
    return { ...this.#answers.at(answer), volumeEpoch: volumeEpoch as Epoch };
  }

  /** The answer of a segment that has `records` up to `scl` and nothing to add. */
  internAnswer(answer: Omit<SegmentAnswer, 'volumeEpoch'>): number {
    return this.#answers.id(JSON.stringify(answer), answer);
  }

  /** A writer's ship. Epochs are the caller's business. */
  ship(id: number, record: ModelRecord, vdl: Lsn): number {
    return this.#ships.get(`${id}|${record.lsn}|${record.previous}|${record.by}|${vdl}`, () => {
      const state = this.at(id);
      return this.#intern(this.#ingest(state, [record], higher(state.vdl, vdl)));
    });
  }

  /** The segment obeys the fence; the same number where it must refuse, or has nothing to learn. */
  fence(id: number, fence: Fence, fenceKey: string): number {
    return this.#fences.get(`${id}|${fenceKey}`, () => {
      const state = this.at(id);
      const { volumeEpoch, membership, ranges } = fence;
      if (volumeEpoch < state.volumeEpoch || membership.epoch < state.membership.epoch) return id;
      const adopted = {
        ...state,
        volumeEpoch,
        membership: membership.epoch > state.membership.epoch ? membership : state.membership,
      };
      return this.#intern(this.#truncate(adopted, ranges));
    });
  }

  /** The peer's ranges and VDL, and its next record: gossip goes on as often as it likes. */
  gossip(id: number, from: number, hints: boolean): number {
    const key = id * 0x10000 + from;
    const known = this.#gossip.get(key);
    if (known !== undefined) return known;
    const result = this.#intern(this.#fetch(this.at(id), this.at(from), hints));
    this.#gossip.set(key, result);
    return result;
  }

  /** What a recovery copies: the peer's records in (after, through]. */
  copy(id: number, from: number, range: { after: Lsn; through: Lsn }): number {
    const state = this.at(id);
    const { after, through } = range;
    const records = this.at(from).chain.filter(({ lsn }) => lsn > after && lsn <= through);
    return this.#intern(this.#ingest(state, records, state.vdl));
  }

  #fetch(state: SegmentState, peer: SegmentState, hints: boolean): SegmentState {
    if (peer.hydrating) return state;
    const told = this.#truncate(state, peer.ranges);
    const scl = last(told);
    const next = peer.chain.find(({ lsn }) => lsn > scl);
    const vdl = hints ? higher(told.vdl, peer.vdl) : told.vdl;
    const filled = this.#ingest(told, next ? [next] : [], vdl);
    return { ...filled, hydrating: filled.hydrating && last(filled) < last(peer) };
  }

  #ingest(state: SegmentState, records: readonly ModelRecord[], vdl: Lsn): SegmentState {
    const chain = this.#chainOf(state);
    const taken = records.filter(({ lsn, previous }) => {
      const acceptance = chain.accept(lsn, previous);
      return acceptance === 'appended' || acceptance === 'held';
    });
    return this.#after({ ...state, vdl }, chain, taken);
  }

  #truncate(state: SegmentState, ranges: readonly TruncationRange[]): SegmentState {
    const chain = this.#chainOf(state);
    chain.settle(state.vdl);
    chain.truncate([...state.ranges, ...ranges]);
    return this.#after({ ...state, ranges: chain.truncation.known }, chain, []);
  }

  /** As at a restart: what is on the disk, in order. */
  #chainOf({ ranges, chain, islands }: SegmentState): SegmentChain {
    const real = new SegmentChain({ base: asLsn(0), ranges: this.#rules.rangesBind ? ranges : [] });
    for (const { lsn, previous } of [...chain, ...islands]) real.accept(lsn, previous);
    return real;
  }

  /** `before`, with what the real chain has made of it. */
  #after(before: SegmentState, real: SegmentChain, taken: readonly ModelRecord[]): SegmentState {
    const known = new Map(
      [...before.islands, ...taken, ...before.chain].map((record) => [record.lsn, record]),
    );
    // Of what is settled the chain keeps no list; nothing can have cut it.
    const floor =
      before.vdl <= real.scl ? (before.chain.findLast(({ lsn }) => lsn <= before.vdl)?.lsn ?? 0) : 0;
    const settled = before.chain.filter(({ lsn }) => lsn <= floor);
    const chain = [...settled, ...real.above(asLsn(floor)).map((lsn) => must(known.get(lsn)))];
    const islands = [...before.islands, ...taken]
      .filter(({ lsn, previous }) => lsn > real.scl && !real.annuls(lsn, previous))
      .sort((a, b) => a.lsn - b.lsn);
    return { ...before, chain, islands };
  }

  #intern(state: SegmentState): number {
    const id = this.#states.id(JSON.stringify(state), state);
    if (this.#scls[id] === undefined) {
      this.#scls[id] = last(state);
      this.#held[id] = bits(state.chain);
      const truncation = Truncation.of(state.ranges);
      this.#annulled[id] = state.chain.find(({ lsn }) => truncation.covers(lsn))?.lsn;
      this.#all[id] = bits([...state.chain, ...state.islands]);
      this.#answerOf[id] = id === NO_SEGMENT ? NO_ANSWER : this.internAnswer(this.#say(state));
    }
    return id;
  }

  #say(state: SegmentState): Omit<SegmentAnswer, 'volumeEpoch'> {
    const { vdl, ranges, chain, hydrating } = state;
    if (hydrating && this.#rules.hydratingIsUnknown)
      return { scl: asLsn(0), vdl, ranges, tail: [], damaged: false, hydrating };
    const tail = chain
      .filter(({ lsn }) => lsn > vdl)
      .map(({ lsn, previous }) => ({ lsn, previousVolumeLsn: previous, cpl: true }));
    return { scl: last(state), vdl, ranges, tail, damaged: false, hydrating: false };
  }
}

function last({ chain }: SegmentState): Lsn {
  return chain.at(-1)?.lsn ?? asLsn(0);
}

function bits(records: readonly ModelRecord[]): number {
  return records.reduce((mask, { lsn }) => mask | (1 << lsn), 0);
}

function higher(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
