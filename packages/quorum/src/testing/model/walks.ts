/**
 * Random walks through bounds that are too wide to search: no proof of anything, but they come to where searches do not,
 * three openings and two replacements deep. After each walk it is tried whether anything still works.
 */
import { must, SeededRandom } from '@rokka/kernel';
import type { Bounds } from './bounds.ts';
import { firstState } from './first-state.ts';
import { deadEnd } from './liveness.ts';
import { demandKept } from './opening-steps.ts';
import { protocol, type Invariant, type Rules } from './rules.ts';
import { Cores, newState, Scene, type State, type StepKind } from './scene.ts';
import { canonical, successors } from './search.ts';
import { Violation } from './state.ts';

export interface WalksResult {
  readonly walks: number;
  readonly steps: number;
  /** How often each kind of step was taken: what did not happen was not tried. */
  readonly taken: Readonly<Partial<Record<StepKind, number>>>;
  readonly violation?: {
    readonly invariant: Invariant | 'dead end';
    readonly message: string;
    readonly trace: readonly State[];
    readonly cores: Cores;
  };
}

/** Tables are thrown away after so many walks, because most of what they hold never comes again. */
const WALKS_PER_TABLE = 500;
/** Of how many steps of one kind only one is looked at: else ships and gossip would crowd out all else. */
const KINDS_FIRST = 0.7;

export function walks(options: {
  bounds: Bounds;
  rules?: Rules;
  seed: number;
  count: number;
  stepsMax: number;
  isOver?: () => boolean;
}): WalksResult {
  const { bounds, rules = protocol, seed, count, stepsMax } = options;
  const random = new SeededRandom(seed);
  const taken: Partial<Record<StepKind, number>> = {};
  let steps = 0;
  let cores = new Cores(bounds, rules);
  for (let walk = 0; walk < count; walk++) {
    if (options.isOver?.() === true) return { walks: walk, steps, taken };
    if (walk % WALKS_PER_TABLE === 0) cores = new Cores(bounds, rules);
    const trace = [firstState(cores)];
    try {
      while (trace.length <= stepsMax) {
        const next = oneStep(cores, bounds, { from: must(trace.at(-1)), random, taken });
        if (!next) break;
        trace.push(next);
        demandKept(new Scene(cores, next, () => {}, newState()));
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const { invariant, message } = error;
      return { walks: walk, steps, taken, violation: { invariant, message, trace, cores } };
    }
    steps += trace.length - 1;
    const lost = random.chance(0.5) ? [] : [random.below(3), 3 + random.below(3)];
    const end = deadEnd(cores, bounds, must(trace.at(-1)), lost);
    const message = `nothing works any more without ${lost.join(' and ')}`;
    if (end)
      return { walks: walk, steps, taken, violation: { invariant: 'dead end', message, trace, cores } };
  }
  return { walks: count, steps, taken };
}

/** First the kind of step, then one of that kind: most of the time. */
function oneStep(
  cores: Cores,
  bounds: Bounds,
  of: { from: State; random: SeededRandom; taken: Partial<Record<StepKind, number>> },
): State | undefined {
  const { from, random, taken } = of;
  const byKind = new Map<StepKind, State[]>();
  const emit = (next: State, { kind }: { kind: StepKind }) => {
    const states = byKind.get(kind) ?? [];
    byKind.set(kind, states);
    states.push(next.slice());
  };
  successors(cores, bounds, from, emit, newState());
  if (byKind.size === 0) return undefined;
  const kind = random.chance(KINDS_FIRST)
    ? random.pick([...byKind.keys()])
    : random.pick([...byKind].flatMap(([kind, states]) => states.map(() => kind)));
  const next = random.pick(must(byKind.get(kind)));
  taken[kind] = (taken[kind] ?? 0) + 1;
  canonical(next, bounds);
  return next;
}
