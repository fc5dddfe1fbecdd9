/**
 * Whether anything still works: from a state, with some slots lost for good, a new opening that does what a sensible one
 * would must come to serve and to acknowledge a record of its own; with all slots there, it must also bring every
 * replacement to an end. One such path shows that the state is no dead end.
 */
import { must } from '@rokka/kernel';
import type { Bounds } from './bounds.ts';
import { candidateOf, SLOTS } from './memberships.ts';
import { type Cores, newState, REGISTRY, Scene, type State, type Step, type StepKind } from './scene.ts';
import { canonical, successors } from './search.ts';
import { FIRST_COLUMN } from './state.ts';

const STEPS_MAX = 500;
/** What is done first, of what can be done. */
const ORDER: readonly StepKind[] = [
  'adopt',
  'finish',
  'revert',
  'serve',
  'fence',
  'copy',
  'gossip',
  'decide',
  'write',
  'ship',
  'ack',
];

/**
 * @param lost none, or two slots: the nodes of one zone
 * @returns undefined where it goes on, else where it stops
 */
export function deadEnd(
  cores: Cores,
  bounds: Bounds,
  from: State,
  lost: readonly number[],
): Situation | undefined {
  const opener = sceneOf(cores, from).shared.openers.length;
  const wider: Bounds = {
    ...bounds,
    openings: opener + 1,
    changes: 0,
    force: false,
    giveUp: false,
    gossip: 'all',
  };
  const first = { state: from, lost: lastTwins(from, from, lost) };
  let at = must(
    best(cores, wider, first, ({ kind }) => (kind === 'open' ? 0 : -1)),
    'a volume can always be opened once more',
  );
  for (let i = 0; i < STEPS_MAX; i++) {
    if (goesOn(cores, at.state, { opener, endsChanges: lost.length === 0 })) return undefined;
    const isOurs = (by: number) => by === opener || by < 0;
    const next = best(cores, wider, at, (step) => (isOurs(step.opener) ? ORDER.indexOf(step.kind) : -1));
    if (!next) return at;
    at = next;
  }
  return at;
}

/** A state, and the slots whose nodes are gone. */
export interface Situation {
  readonly state: State;
  readonly lost: readonly number[];
}

/** After the step of the lowest rank that no lost node has a part in; those below 0 are not taken. */
function best(
  cores: Cores,
  bounds: Bounds,
  at: Situation,
  rank: (step: Step) => number,
): Situation | undefined {
  let found: State | undefined;
  let lowest = Infinity;
  const emit = (next: State, step: Step) => {
    const own = rank(step);
    if (own < 0 || own >= lowest || takesLost(cores, at, step)) return;
    lowest = own;
    found = next.slice();
  };
  successors(cores, bounds, at.state, emit, newState());
  if (!found) return undefined;
  const sorted = found.slice();
  canonical(sorted, bounds);
  return { state: sorted, lost: lastTwins(found, sorted, at.lost) };
}

function takesLost(cores: Cores, { lost }: Situation, { kind, slot, detail }: Step): boolean {
  // A change in the registry happens to no node.
  if (kind === 'finish' || kind === 'revert') return false;
  const copies = kind === 'gossip' || kind === 'copy';
  const source = copies ? Math.floor(detail / cores.memberships.nodesPerSlot) : -1;
  return lost.includes(slot) || lost.includes(source);
}

/** The slots in `sorted`, each the last of its equals: steps of equal slots are those of the first, which must be alive. */
function lastTwins(before: State, sorted: State, lost: readonly number[]): number[] {
  const taken: number[] = [];
  for (const slot of lost) {
    const id = before[FIRST_COLUMN + slot];
    let at = SLOTS - 1;
    while (at > 0 && (sorted[FIRST_COLUMN + at] !== id || taken.includes(at))) at--;
    taken.push(at);
  }
  return taken;
}

function goesOn(cores: Cores, state: State, of: { opener: number; endsChanges: boolean }): boolean {
  const scene = sceneOf(cores, state);
  const { writer } = scene.opener(of.opener);
  if (!writer || writer.sent.length === 0) return false;
  if (scene.shared.promised < cores.writers.lastLsn(writer)) return false;
  if (!of.endsChanges) return true;
  const statuses = scene.statuses(REGISTRY);
  return statuses.every(
    (status, slot) => candidateOf(status) === 0 && status === scene.statusAt(slot, of.opener),
  );
}

function sceneOf(cores: Cores, state: State): Scene {
  return new Scene(cores, state, () => {}, newState());
}
