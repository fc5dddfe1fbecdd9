/** One state taken apart, so that steps can look at it and say what follows. */
import { must, type Lsn } from '@rokka/kernel';
import type { Bounds } from './bounds.ts';
import { Interned } from './interned.ts';
import { candidateOf, memberOf, Memberships, SLOTS } from './memberships.ts';
import { type Opening, Recoveries } from './recoveries.ts';
import type { Invariant, Rules } from './rules.ts';
import { NO_SEGMENT, Segments } from './segments.ts';
import {
  type Column,
  FIRST_COLUMN,
  Layout,
  type Opener,
  type Shared,
  SHARED,
  STATE_LENGTH,
  Violation,
} from './state.ts';
import { type Known, Writers, type WriterState } from './writers.ts';

export type StepKind =
  | 'write'
  | 'ship'
  | 'ack'
  | 'gossip'
  | 'open'
  | 'fence'
  | 'lost answer'
  | 'decide'
  | 'copy'
  | 'serve'
  | 'begin'
  | 'adopt'
  | 'finish'
  | 'revert'
  | 'force'
  | 'give up';

export interface Step {
  readonly kind: StepKind;
  /** Place of the opener that takes it, -1 where none does. */
  readonly opener: number;
  /** The node that it happens to, -1 where it is none. */
  readonly slot: number;
  readonly node: number;
  /** The record's LSN, or the node that something comes from; -1 where there is neither. */
  readonly detail: number;
}

/** A step that depends on what all share and on one column, and changes only that. */
export interface LocalStep {
  readonly kind: StepKind;
  readonly opener: number;
  readonly node: number;
  readonly detail: number;
  readonly column: number;
}

/** See STATE_LENGTH. */
export type State = Uint32Array;
/** `next` has its columns in the order of the state before, and is used again after the call. */
export type Emit = (next: State, step: Step) => void;

/** The registry's view, where an opener's is asked for. */
export const REGISTRY = -1;

/** The code under test, with memory, and the tables of a search. */
export class Cores {
  readonly rules: Rules;
  readonly segments: Segments;
  readonly memberships: Memberships;
  readonly recoveries: Recoveries;
  readonly writers: Writers;
  readonly shared = new Interned<Shared>();
  /** By shared part: what a change made of it before, and the steps that concern one column alone. */
  readonly #after: Map<string, number>[] = [];
  readonly #local: Map<number, readonly LocalStep[]>[] = [];
  readonly columns = new Interned<Column>();
  readonly layouts: readonly Layout[];

  constructor(bounds: Bounds, rules: Rules) {
    this.rules = rules;
    this.segments = new Segments(rules);
    const kinds = Array.from({ length: SLOTS }, (_, slot) =>
      bounds.group === 'all-full' || slot < 3 ? ('full' as const) : ('tail' as const),
    );
    const { segments } = this;
    const memberships = new Memberships({ rules, kinds, newcomers: bounds.newcomers });
    this.memberships = memberships;
    const allocationLimit = bounds.records;
    this.recoveries = new Recoveries({ rules, memberships, segments, allocationLimit });
    this.writers = new Writers({ rules, memberships, allocationLimit });
    this.layouts = Array.from(
      { length: bounds.openings + 2 },
      (_, openers) => new Layout(openers, memberships.nodesPerSlot),
    );
  }

  columnId(column: Column): number {
    return this.columns.id(String.fromCharCode(...column), column);
  }

  sharedId(shared: Shared): number {
    return this.shared.id(JSON.stringify(shared), shared);
  }

  /** `change` says what `make` does, so that it is done once. */
  sharedAfter(before: number, change: string, make: () => Shared): number {
    const known = (this.#after[before] ??= new Map());
    const id = known.get(change) ?? this.sharedId(make());
    known.set(change, id);
    return id;
  }

  localSteps(shared: number, column: number, work: () => readonly LocalStep[]): readonly LocalStep[] {
    const known = (this.#local[shared] ??= new Map());
    const steps = known.get(column) ?? work();
    known.set(column, steps);
    return steps;
  }
}

export class Scene {
  readonly cores: Cores;
  readonly state: State;
  readonly shared: Shared;
  readonly columns: readonly Column[];
  readonly layout: Layout;
  readonly #emit: Emit;
  readonly #next: State;
  readonly #statuses: (readonly number[] | undefined)[] = [];

  constructor(cores: Cores, state: State, emit: Emit, scratch: State) {
    this.cores = cores;
    this.state = state;
    this.shared = cores.shared.at(state[SHARED]);
    const columns: Column[] = [];
    for (let slot = 0; slot < SLOTS; slot++) columns.push(cores.columns.at(state[FIRST_COLUMN + slot]));
    this.columns = columns;
    this.layout = must(cores.layouts[this.shared.openers.length]);
    this.#emit = emit;
    this.#next = scratch;
  }

  get nodesPerSlot(): number {
    return this.layout.nodesPerSlot;
  }

  opener(place: number): Opener {
    return must(this.shared.openers[place]);
  }

  /** Whether the registry takes changes from this opener. */
  isCurrent(opener: number): boolean {
    return opener === this.shared.openers.length - 1;
  }

  /** What happens to a slot that equals the one before it is the same, but for names. */
  isTwin(slot: number): boolean {
    return slot > 0 && this.state[FIRST_COLUMN + slot] === this.state[FIRST_COLUMN + slot - 1];
  }

  statusAt(slot: number, view: number): number {
    const column = this.columns[slot];
    return view === REGISTRY ? column[Layout.registry] : column[this.layout.view(view)];
  }

  statuses(view: number): readonly number[] {
    const known = this.#statuses[view + 1];
    if (known) return known;
    const statuses = this.columns.map((_, slot) => this.statusAt(slot, view));
    this.#statuses[view + 1] = statuses;
    return statuses;
  }

  takesPart(slot: number, node: number, view: number): boolean {
    const status = this.statusAt(slot, view);
    return memberOf(status) === node || (node > 0 && candidateOf(status) === node);
  }

  segment(slot: number, node: number): number {
    return this.columns[slot][this.layout.segment(node)];
  }

  first(opener: number): number[] {
    return this.#numbers((node) => this.layout.first(node, opener));
  }

  second(opener: number): number[] {
    return this.#numbers((node) => this.layout.second(node, opener));
  }

  opening(opener: number): Opening {
    const { known } = this.opener(opener);
    return { volumeEpoch: opener + 1, statuses: this.statuses(opener), ranges: known };
  }

  /** What a serving opener knows of the nodes. */
  known(opener: number): Known {
    return this.first(opener).map((scl) => (scl === 0 ? undefined : scl - 1));
  }

  /** Nodes for which `is` holds, as bits. Only those that have a segment are asked. */
  nodes(is: (segment: number, slot: number, node: number) => boolean): number {
    let bits = 0;
    for (let slot = 0; slot < SLOTS; slot++)
      for (let node = 0; node < this.nodesPerSlot; node++) {
        const segment = this.segment(slot, node);
        if (segment !== NO_SEGMENT && is(segment, slot, node)) bits |= 1 << (slot * this.nodesPerSlot + node);
      }
    return bits;
  }

  /** What a node that obeys a serving writer tells it; 0 for nothing. */
  ackOf(segment: number): number {
    const { segments, rules } = this.cores;
    if (segment === NO_SEGMENT) return 0;
    if (segments.at(segment).hydrating && rules.hydratingIsUnknown) return 0;
    return rules.progress === 'scls' ? segments.scl(segment) + 1 : segments.recordBits(segment) + 1;
  }

  /** The column with another segment on one of its nodes. Whoever it obeys will hear of it. */
  withSegment(slot: number, node: number, segment: number): number[] {
    const column = [...this.columns[slot]];
    column[this.layout.segment(node)] = segment;
    const opener = this.cores.segments.at(segment).volumeEpoch - 1;
    if (opener < this.shared.openers.length && this.opener(opener).phase === 'serving') {
      if (this.takesPart(slot, node, opener)) {
        const at = this.layout.second(node, opener);
        column[at] = Math.max(column[at], this.ackOf(segment));
      }
    }
    return column;
  }

  withOpener(place: number, change: Partial<Opener>): readonly Opener[] {
    return this.shared.openers.map((opener, at) => (at === place ? { ...opener, ...change } : opener));
  }

  withWriter(place: number, change: Partial<WriterState>): readonly Opener[] {
    return this.withOpener(place, { writer: { ...must(this.opener(place).writer), ...change } });
  }

  /** @throws Violation, where the rules do not ignore it */
  breach(invariant: Invariant, message: string): void {
    if (!this.cores.rules.ignored.includes(invariant)) throw new Violation(invariant, message);
  }

  /** One slot changes. */
  moveOne(step: Step, column: number): void {
    this.#next.set(this.state);
    this.#next[FIRST_COLUMN + step.slot] = column;
    this.#emit(this.#next, step);
  }

  /** What all share changes, as `change` names it, and any column. */
  moveAll(step: Step, change: string, of: { shared: () => Shared; column?: (slot: number) => Column }): void {
    this.#next.set(this.state);
    this.#next[SHARED] = this.cores.sharedAfter(this.state[SHARED], change, of.shared);
    const columnOf = of.column;
    if (columnOf)
      for (let slot = 0; slot < SLOTS; slot++)
        this.#next[FIRST_COLUMN + slot] = this.cores.columnId(columnOf(slot));
    this.#emit(this.#next, step);
  }

  #numbers(at: (node: number) => number): number[] {
    const numbers: number[] = [];
    for (let slot = 0; slot < SLOTS; slot++)
      for (let node = 0; node < this.nodesPerSlot; node++) numbers.push(this.columns[slot][at(node)]);
    return numbers;
  }
}

/** A step of an opener that happens to no node. */
export function openerStep(kind: StepKind, opener: number, detail = -1): Step {
  return { kind, opener, slot: -1, node: -1, detail };
}

export function nodeStep(kind: StepKind, opener: number, slot: number, node: number, detail = -1): Step {
  return { kind, opener, slot, node, detail };
}

export function newState(): State {
  return new Uint32Array(STATE_LENGTH);
}

export function higher(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
