/**
 * What a serving writer knows, as a value, and what the real tracker and allocator make of it. A tracker is rebuilt through
 * its public face: one stand-in member brings the PGCL to where it was, then the real members and their rule take over.
 */
import { asLsn, isCoded, type Lsn, must } from '@rokka/kernel';
import { atLeast, satisfied } from '../../expression.ts';
import { LsnAllocator } from '../../lsn-allocator.ts';
import { ProgressTracker } from '../../progress-tracker.ts';
import { Memo } from './interned.ts';
import { type Memberships, PG } from './memberships.ts';
import type { Rules } from './rules.ts';

export interface WriterState {
  /** What its recovery left it: VDL and last record kept, which are the same in a volume of one group and whole MTRs. */
  readonly kept: Lsn;
  readonly nextLsn: Lsn;
  /** For each of its records, the membership epoch under which it was first sent. */
  readonly sent: readonly number[];
  readonly pgcl: Lsn;
}

/** What it knows of each node, as `Memberships` numbers them; undefined for nothing. Records as bits where acks are counted. */
export type Known = readonly (number | undefined)[];

export interface Progress {
  readonly pgcl: Lsn;
  readonly vdl: Lsn;
}

export class Writers {
  readonly #rules: Rules;
  readonly #memberships: Memberships;
  readonly #allocationLimit: number;
  readonly #progress = new Memo<Progress>();
  readonly #room = new Memo<boolean>();

  constructor(options: { rules: Rules; memberships: Memberships; allocationLimit: number }) {
    this.#rules = options.rules;
    this.#memberships = options.memberships;
    this.#allocationLimit = options.allocationLimit;
  }

  lastLsn({ kept, nextLsn, sent }: WriterState): Lsn {
    return sent.length === 0 ? kept : asLsn(nextLsn + sent.length - 1);
  }

  /** The record that has the writer's `index`-th LSN, and the one before it. */
  link({ kept, nextLsn }: WriterState, index: number): { lsn: Lsn; previous: Lsn } {
    return { lsn: asLsn(nextLsn + index), previous: index === 0 ? kept : asLsn(nextLsn + index - 1) };
  }

  vdl(state: WriterState): Lsn {
    return this.#progress.get(`vdl|${keyOf(state)}`, () => {
      const tracker = this.#standIn(state);
      return { pgcl: tracker.pgcl(PG), vdl: tracker.vdl };
    }).vdl;
  }

  hasRoom(state: WriterState): boolean {
    const { nextLsn, sent } = state;
    const vdl = this.vdl(state);
    return this.#room.get(`${nextLsn}|${sent.length}|${vdl}`, () => {
      const options = { nextLsn, outstandingBytesMax: 1e9, allocationLimit: this.#allocationLimit };
      const allocator = new LsnAllocator(options);
      const one = { records: 1, sizeBytes: 1 };
      for (let i = 0; i < sent.length; i++) {
        allocator.allocate(one);
        if (allocator.last <= vdl) allocator.durable(allocator.last);
      }
      return allocator.hasRoom(one);
    });
  }

  /** Acks arrive, in the order of the nodes. @throws the tracker's errors */
  acknowledged(state: WriterState, of: { statuses: readonly number[]; known: Known; acks: Known }): Progress {
    const { statuses, known, acks } = of;
    return this.#progress.get(
      `acks|${keyOf(state)}|${statuses.join()}|${known.join()}|${acks.join()}`,
      () => {
        if (this.#rules.progress === 'records') {
          const has = known.map((bits, index) => acks[index] ?? bits);
          return this.#countRecords(state, statuses, has);
        }
        const { tracker, members } = this.#tracker(state, statuses, known);
        for (const [at, index] of members.entries()) {
          const scl = acks[index];
          if (scl !== undefined) tracker.acknowledged(PG, at, asLsn(scl));
        }
        return { pgcl: tracker.pgcl(PG), vdl: tracker.vdl };
      },
    );
  }

  /** The writer goes over to another membership. */
  adopted(
    state: WriterState,
    of: { before: readonly number[]; after: readonly number[]; known: Known },
  ): Progress {
    const { before, after, known } = of;
    return this.#progress.get(
      `adopt|${keyOf(state)}|${before.join()}|${after.join()}|${known.join()}`,
      () => {
        if (this.#rules.progress === 'records') return { pgcl: state.pgcl, vdl: this.vdl(state) };
        const { tracker } = this.#tracker(state, before, known);
        this.#setGroup(tracker, state, after, []);
        return { pgcl: tracker.pgcl(PG), vdl: tracker.vdl };
      },
    );
  }

  #tracker(state: WriterState, statuses: readonly number[], known: Known) {
    const tracker = this.#standIn(state);
    const members = this.#setGroup(tracker, state, statuses, known);
    return { tracker, members };
  }

  /** The tracker of a group whose one member has come as far as the PGCL. */
  #standIn(state: WriterState): ProgressTracker {
    const { kept, nextLsn, sent, pgcl } = state;
    const members = ['*'];
    const group = { pg: PG, members, write: atLeast(1, members), lastLsn: kept };
    const tracker = new ProgressTracker({ vdl: kept, nextLsn, groups: [group] });
    for (let i = 0; i < sent.length; i++) tracker.allocated(PG, asLsn(nextLsn + i), true);
    tracker.acknowledged(PG, 0, pgcl);
    return tracker;
  }

  /** Answers the nodes that the tracker now knows by their place. */
  #setGroup(
    tracker: ProgressTracker,
    { kept }: WriterState,
    statuses: readonly number[],
    known: Known,
  ): number[] {
    const { write } = this.#memberships.formulas(statuses);
    const indexes = this.#memberships.nodesOf(statuses);
    const members = indexes.map((index) => this.#memberships.nameOf(index) as string);
    const scls = new Map(
      indexes.flatMap((index): [string, Lsn][] => {
        const scl = known[index];
        return scl === undefined ? [] : [[this.#memberships.nameOf(index), asLsn(scl)]];
      }),
    );
    tracker.setGroup({ pg: PG, members, write, lastLsn: kept, scls });
    return indexes;
  }

  /** The mutant's way: a record counts where a write quorum has it, whatever they have below it. */
  #countRecords(state: WriterState, statuses: readonly number[], held: Known): Progress {
    const { write } = this.#memberships.formulas(statuses);
    let { pgcl } = state;
    for (let lsn = Math.max(pgcl + 1, state.nextLsn); lsn <= this.lastLsn(state); lsn++) {
      const bit = 1 << lsn;
      const has = (member: string) => ((held[this.#memberships.indexOf(member)] ?? 0) & bit) !== 0;
      if (!satisfied(write, has)) break;
      pgcl = asLsn(lsn);
    }
    return { pgcl, vdl: pgcl };
  }
}

function keyOf({ kept, nextLsn, sent, pgcl }: WriterState): string {
  return `${kept}|${nextLsn}|${sent.length}|${pgcl}`;
}

/** Whether the error says that the protocol was broken; the rest are assertions of the model itself. */
export function isProtocolError(error: unknown): boolean {
  return isCoded(error) && must(error.code).startsWith('QUORUM_');
}
