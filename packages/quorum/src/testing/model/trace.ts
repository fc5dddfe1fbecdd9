/**
 * A path through the states as sentences. Nodes keep their names along it: A to F are the first of their slots, F' is the
 * one that comes for F. In a full/tail group A, B and C are the full ones.
 */
import { must } from '@rokka/kernel';
import type { Bounds } from './bounds.ts';
import { SLOTS } from './memberships.ts';
import { type Cores, newState, Scene, type State, type Step, type StepKind } from './scene.ts';
import { canonical, successors } from './search.ts';
import { NO_SEGMENT } from './segments.ts';
import { FIRST_COLUMN, Violation } from './state.ts';

/** One line a step: what was done, then each node's volume and membership epoch, its SCL, and what else it holds. */
export function describeTrace(cores: Cores, bounds: Bounds, trace: readonly State[]): string[] {
  const lines: string[] = [];
  let names = Array.from('ABCDEF');
  for (const [at, state] of trace.entries()) {
    const next = trace[at + 1];
    if (!next) break;
    const found = stepTo(cores, bounds, state, next);
    const step = sentence(cores, found.step, names);
    names = found.order.map((slot) => must(names[slot]));
    lines.push(`${String(at + 1).padStart(3)}. ${step.padEnd(58)} ${nodesOf(cores, next, names)}`);
  }
  return lines;
}

/** The step that led from one state to the next, and where each of its columns stood before. */
function stepTo(cores: Cores, bounds: Bounds, from: State, to: State): { step: Step; order: number[] } {
  let found: { step: Step; order: number[] } | undefined;
  const scratch = newState();
  const emit = (next: State, step: Step) => {
    if (found) return;
    const sorted = next.slice();
    canonical(sorted, bounds);
    if (sorted.some((number, at) => number !== to[at])) return;
    const left = Array.from(next.slice(FIRST_COLUMN));
    const order = Array.from(sorted.slice(FIRST_COLUMN), (id) => {
      const slot = left.indexOf(id);
      left[slot] = -1;
      return slot;
    });
    found = { step, order };
  };
  try {
    successors(cores, bounds, from, emit, scratch);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
  }
  return must(found, 'a trace goes by steps of the model');
}

interface Words {
  readonly who: string;
  readonly name: string;
  readonly other: string;
  readonly detail: number;
}

const SENTENCES: Readonly<Record<StepKind, (words: Words) => string>> = {
  write: ({ who, detail }) => `${who} writes LSN ${detail}`,
  ship: ({ who, name, detail }) => `LSN ${detail} of ${who} arrives at ${name}`,
  ack: ({ who, name, detail }) => `${name}'s ack of ${detail} reaches ${who}`,
  gossip: ({ name, other }) => `${name} hears from ${other}`,
  open: ({ who }) => `the volume is opened: ${who}`,
  fence: ({ who, name }) => `${who} fences ${name}`,
  'lost answer': ({ who, name }) => `${who} fences ${name}, whose answer gets lost`,
  decide: ({ who, detail }) => `${who} decides: VDL ${detail}`,
  copy: ({ who, name, other }) => `${who} copies from ${other} to ${name}`,
  serve: ({ who }) => `${who} serves`,
  begin: ({ who, name }) => `${who}: ${name} is to be replaced, in the registry`,
  adopt: ({ who }) => `${who} goes by the new membership`,
  finish: ({ who, name }) => `${who}: the newcomer for ${name} stays, in the registry`,
  revert: ({ who, name }) => `${who}: ${name} stays, in the registry`,
  force: ({ who, name }) => `${who}: ${name} is forced out, in the registry`,
  'give up': ({ who, name }) => `${who}: the newcomer for ${name} is given up, in the registry`,
};

function sentence(cores: Cores, step: Step, names: readonly string[]): string {
  const { kind, opener, slot, node, detail } = step;
  return SENTENCES[kind]({
    who: `opening ${opener + 1}`,
    name: slot < 0 ? '' : `${names[slot]}${"'".repeat(node)}`,
    other: kind === 'gossip' || kind === 'copy' ? nameOf(cores, detail, names) : '',
    detail,
  });
}

function nodesOf(cores: Cores, state: State, names: readonly string[]): string {
  const scene = new Scene(cores, state, () => {}, newState());
  const parts: string[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    for (let node = 0; node < scene.nodesPerSlot; node++) {
      const segment = scene.segment(slot, node);
      if (segment === NO_SEGMENT) continue;
      const { volumeEpoch, membership, hydrating, chain, islands } = cores.segments.at(segment);
      const records = chain.map(({ lsn }) => lsn).join('-') || '0';
      const waiting = islands.length === 0 ? '' : `+${islands.map(({ lsn }) => lsn).join('+')}`;
      const epochs = `${volumeEpoch}.${membership.epoch}`;
      parts.push(`${names[slot]}${"'".repeat(node)} ${epochs}:${records}${waiting}${hydrating ? '?' : ''}`);
    }
  }
  const { promised, membership } = scene.shared;
  return `${parts.sort().join('  ')}  | membership ${membership.epoch}, promised ${promised}`;
}

function nameOf({ memberships }: Cores, index: number, names: readonly string[]): string {
  const { nodesPerSlot } = memberships;
  return `${names[Math.floor(index / nodesPerSlot)]}${"'".repeat(index % nodesPerSlot)}`;
}
