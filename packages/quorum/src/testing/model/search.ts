/**
 * Breadth-first search through all states that the bounds allow. What it finds first is found by the fewest steps, so a
 * trace is a shortest one.
 */
import { must } from '@rokka/kernel';
import type { Bounds } from './bounds.ts';
import { firstState } from './first-state.ts';
import { SLOTS } from './memberships.ts';
import { membershipSteps } from './membership-steps.ts';
import { demandKept, fencesOf, openingSteps } from './opening-steps.ts';
import { type Invariant, protocol, type Rules } from './rules.ts';
import { Cores, type Emit, newState, Scene, type State, type Step, type StepKind } from './scene.ts';
import { FIRST_COLUMN, SHARED, STATE_LENGTH, Violation } from './state.ts';
import { StateTable } from './state-table.ts';
import { acknowledgeAll, gossipSteps, shipsTo, writerSteps } from './writer-steps.ts';

export interface SearchOptions {
  readonly bounds: Bounds;
  readonly rules?: Rules;
  /** Give up after so many states. */
  readonly statesMax?: number;
  /** Asked now and then; true ends the search. */
  readonly isOver?: () => boolean;
  /** At the end of each level. */
  readonly onLevel?: (level: { depth: number; states: number; frontier: number }) => void;
  /** Called with each new state. @throws Violation */
  readonly examine?: (cores: Cores, state: State, index: number) => void;
}

export interface FoundViolation {
  readonly invariant: Invariant;
  readonly message: string;
  /** From the first state to the last that there was. */
  readonly trace: readonly State[];
  /** One more than the trace has, where the last step itself is what may not be. */
  readonly steps: number;
}

export interface SearchResult {
  readonly states: number;
  /** Steps taken, those to known states included. */
  readonly transitions: number;
  /** Levels that were explored wholly. */
  readonly depth: number;
  /** Whether every state within the bounds was reached. */
  readonly complete: boolean;
  readonly violation?: FoundViolation;
  readonly cores: Cores;
}

/** All steps from a state. @throws Violation where a step itself breaks an invariant */
export function successors(cores: Cores, bounds: Bounds, state: State, emit: Emit, scratch: State): void {
  const scene = new Scene(cores, state, settling(cores, bounds, emit), scratch);
  localSteps(scene, bounds);
  writerSteps(scene, bounds);
  gossipSteps(scene, bounds);
  openingSteps(scene, bounds);
  membershipSteps(scene, bounds);
}

function localSteps(scene: Scene, bounds: Bounds): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    if (scene.isTwin(slot)) continue;
    const id = scene.state[FIRST_COLUMN + slot];
    const steps = scene.cores.localSteps(scene.state[SHARED], id, () => [
      ...shipsTo(scene, bounds, slot),
      ...fencesOf(scene, bounds, slot),
    ]);
    for (const { kind, opener, node, detail, column } of steps)
      scene.moveOne({ kind, opener, slot, node, detail }, column);
  }
}

/** Where acks arrive at once, a step ends when they have. */
function settling(cores: Cores, bounds: Bounds, emit: Emit): Emit {
  if (bounds.acks === 'late') return emit;
  const scratch = newState();
  const settle: Emit = (next, step) => {
    if (!acknowledgeAll(new Scene(cores, next, settle, next === scratch ? newState() : scratch), step))
      emit(next, step);
  };
  return (next, step) => {
    if (SETTLES.has(step.kind) && mayHaveAcks(cores, next, step)) settle(next, step);
    else emit(next, step);
  };
}

/** Before the step no ack was on its way, so where it changed one column, that is where they are. */
function mayHaveAcks(cores: Cores, next: State, { slot }: Step): boolean {
  if (slot < 0) return true;
  const { openers } = cores.shared.at(next[SHARED]);
  const layout = must(cores.layouts[openers.length]);
  const column = cores.columns.at(next[FIRST_COLUMN + slot]);
  return openers.some(({ phase }, opener) => {
    if (phase !== 'serving') return false;
    for (let node = 0; node < layout.nodesPerSlot; node++)
      if (column[layout.second(node, opener)] > column[layout.first(node, opener)]) return true;
    return false;
  });
}

const SETTLES: ReadonlySet<StepKind> = new Set(['ship', 'gossip', 'fence', 'copy', 'serve', 'adopt']);

/** Columns of one kind in the order of their numbers. */
export function canonical(state: State, bounds: Bounds): void {
  if (bounds.group === 'all-full') sortColumns(state, FIRST_COLUMN, STATE_LENGTH);
  else {
    sortColumns(state, FIRST_COLUMN, FIRST_COLUMN + 3);
    sortColumns(state, FIRST_COLUMN + 3, STATE_LENGTH);
  }
}

export function search(options: SearchOptions): SearchResult {
  const { bounds, rules = protocol, statesMax = Infinity } = options;
  const cores = new Cores(bounds, rules);
  const table = new StateTable();
  const state = newState();
  const scratch = newState();
  let transitions = 0;
  let depth = 0;
  let index = 0;
  /** A state that was just found and is being looked at. */
  let last = -1;
  const result = (complete: boolean) => ({ states: table.count, transitions, depth, complete, cores });

  const first = firstState(cores);
  table.add(first, -1);
  const emit: Emit = (next) => {
    transitions++;
    canonical(next, bounds);
    if (!table.add(next, index)) return;
    last = table.count - 1;
    demandKept(new Scene(cores, next, ignore, scratch));
    last = -1;
    options.examine?.(cores, next, table.count - 1);
  };
  try {
    for (let levelEnd = 1; index < table.count; depth++, levelEnd = table.count) {
      for (; index < levelEnd; index++) {
        if (table.count >= statesMax) return result(false);
        if ((index & 0xfff) === 0 && options.isOver?.() === true) return result(false);
        table.read(index, state);
        successors(cores, bounds, state, emit, scratch);
      }
      options.onLevel?.({ depth: depth + 1, states: table.count, frontier: table.count - index });
    }
    return result(true);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    const { invariant, message } = error;
    const trace = pathTo(table, last < 0 ? index : last);
    const steps = last < 0 ? trace.length : trace.length - 1;
    return { ...result(false), violation: { invariant, message, trace, steps } };
  }
}

const ignore: Emit = () => {};

function pathTo(table: StateTable, index: number): State[] {
  const path: State[] = [];
  for (let at: number | undefined = index; at !== undefined; at = table.parent(at)) {
    const state = newState();
    table.read(at, state);
    path.push(state);
  }
  return path.reverse();
}

function sortColumns(state: State, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const value = must(state[i]);
    let at = i;
    for (; at > from && state[at - 1] > value; at--) state[at] = state[at - 1];
    state[at] = value;
  }
}
