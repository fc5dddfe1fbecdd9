/**
 * A state of the model: what all share, and one column of small numbers for each slot of the group, with everything that
 * belongs to that slot. Columns of slots of one kind are interchangeable, so they are kept sorted: states that differ
 * only by the names of nodes are one. Parts are interned, a state is seven numbers.
 */
import { must, type Lsn } from '@rokka/kernel';
import type { TruncationRange } from '../../truncation.ts';
import { SLOTS } from './memberships.ts';
import type { Invariant } from './rules.ts';
import type { MembershipName } from './segments.ts';
import type { WriterState } from './writers.ts';

/** `gone`: it was superseded before it had decided anything, and can only add to what the next one does. */
export const PHASES = ['gone', 'fencing', 'decided', 'serving'] as const;
export type Phase = (typeof PHASES)[number];

/** Whoever opened the volume: a recovery, then a writer. Its volume epoch is its place in the list, counted from 1. */
export interface Opener {
  readonly phase: Phase;
  /** The membership that it goes by. */
  readonly membership: MembershipName;
  /** Ranges that the registry knew when it opened the volume. */
  readonly known: readonly TruncationRange[];
  readonly decided?: {
    readonly vdl: Lsn;
    readonly nextLsn: Lsn;
    readonly range: TruncationRange;
    readonly ranges: readonly TruncationRange[];
  };
  readonly writer?: WriterState;
}

export interface Shared {
  /** The registry: the volume epoch is the number of openers. */
  readonly membership: MembershipName;
  readonly ranges: readonly TruncationRange[];
  readonly openers: readonly Opener[];
  /** Replacements that were begun. */
  readonly begun: number;
  /** Oracle: the highest LSN that any writer has acknowledged to a client. */
  readonly promised: Lsn;
}

/** Numbers of one slot, laid out by `Layout`. */
export type Column = readonly number[];

/**
 * Column: the registry's status of the slot; its highest node ever; each opener's status of it; then for each node the
 * segment and, for each opener, two numbers: while fencing the answer; once decided, the answer that it was decided by,
 * and the SCL + 1 seen since; when serving, what is known of the node + 1 and what acks on their way say + 1.
 */
export class Layout {
  readonly openers: number;
  readonly nodesPerSlot: number;

  constructor(openers: number, nodesPerSlot: number) {
    this.openers = openers;
    this.nodesPerSlot = nodesPerSlot;
  }

  static readonly registry = 0;
  static readonly used = 1;

  view(opener: number): number {
    return 2 + opener;
  }

  segment(node: number): number {
    return 2 + this.openers + node * (1 + 2 * this.openers);
  }

  first(node: number, opener: number): number {
    return this.segment(node) + 1 + 2 * opener;
  }

  second(node: number, opener: number): number {
    return this.segment(node) + 2 + 2 * opener;
  }

  get length(): number {
    return this.segment(this.nodesPerSlot);
  }

  /** The column with room for one more opener, who goes by the registry's status. */
  grown(column: Column): Column {
    const grown: number[] = [column[Layout.registry], column[Layout.used]];
    for (let opener = 0; opener < this.openers; opener++) grown.push(column[this.view(opener)]);
    grown.push(column[Layout.registry]);
    for (let node = 0; node < this.nodesPerSlot; node++) {
      for (let at = this.segment(node); at < this.segment(node + 1); at++) grown.push(must(column[at]));
      grown.push(0, 0);
    }
    return grown;
  }
}

/** Place of the shared part, then of the columns, in a state's numbers. */
export const SHARED = 0;
export const FIRST_COLUMN = 1;
export const STATE_LENGTH = FIRST_COLUMN + SLOTS;

export class Violation extends Error {
  readonly invariant: Invariant;

  constructor(invariant: Invariant, message: string) {
    super(message);
    this.name = 'Violation';
    this.invariant = invariant;
  }
}
