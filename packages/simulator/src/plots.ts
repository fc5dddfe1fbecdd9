/** The trouble that schedules are made of: single faults, and endings of a writer's life. */
import type { SeededRandom } from '@rokka/kernel';
import type { Party, Step, StepKind } from './schedule.ts';
import { between, scaled, unit } from './seeds.ts';

const NODES = [0, 1, 2, 3, 4, 5];
const CHANGES_REGISTRY: readonly StepKind[] = [
  'open',
  'take-over',
  'begin-change',
  'end-change',
  'lose-zone',
];
const SENDS_MUCH: readonly StepKind[] = [
  'work',
  'work',
  'open',
  'begin-change',
  'end-change',
  'rot',
  'take-over',
];
const TEARS = ['all', 'none', 'some', 'some', 'prefix'] as const;
/** How many nodes a writer's last records reach: mostly too few for a write quorum. */
const REACHED = [0, 1, 1, 2, 2, 3, 3, 4, 5, 6];

/** A writer's life: when it is, and what happens up to its end. */
interface Life {
  readonly beginMs: number;
  readonly lengthMs: number;
  readonly steps: readonly Step[];
}

/** One fault of any kind, as likely as it is worth its time. */
export function drawFault(random: SeededRandom, atMs: number): Step {
  const node = random.below(6);
  const salt = random.below(2 ** 31);
  const forMs = Math.round(scaled(random, 2, 1_500));
  const tear = random.pick(TEARS);
  const draw = random.below(100);
  if (draw < 14) return { atMs, kind: 'power-loss', node, tear, salt, forMs };
  if (draw < 24)
    return { atMs, kind: 'power-loss-within', node, tear, salt, forMs, operations: random.below(12) };
  if (draw < 30) return { atMs, kind: 'kill-node', node, forMs };
  if (draw < 34) return { atMs, kind: 'stop-node', node, forMs };
  if (draw < 42) return { atMs, kind: 'pause', who: drawParty(random), forMs };
  if (draw < 52) return { atMs, kind: 'hold', from: drawParty(random), to: drawParty(random), forMs };
  if (draw < 60) {
    const from = random.pick(['writer', 'nodes'] as const);
    return { atMs, kind: 'isolate', nodes: drawNodes(random, between(random, 1, 4)), from, forMs };
  }
  if (draw < 68) return { atMs, kind: 'reset', a: drawParty(random), b: drawParty(random) };
  if (draw < 75) {
    const factor = between(random, 2, 60);
    return { atMs, kind: 'slow-link', from: drawParty(random), to: drawParty(random), factor, forMs };
  }
  if (draw < 82) return { atMs, kind: 'slow-disk', node, syncMsMax: between(random, 1, 120), forMs };
  if (draw < 88) {
    const failing = random.pick(['full', 'full', 'write', 'sync'] as const);
    return { atMs, kind: 'failing-disk', node, failing, forMs };
  }
  if (draw < 93)
    return { atMs, kind: 'rot', node, where: random.pick(['log', 'pages', 'pages', 'table']), salt };
  if (draw < 95) return { atMs, kind: 'trap', node, trap: random.pick(['lost', 'misdirected']) };
  if (draw < 96) return { atMs, kind: 'wipe', node };
  return { atMs, kind: 'open' };
}

/**
 * How a writer's life ends. What it writes last reaches a few nodes, often too few; those go away with it, and come back with
 * it when a recovery has annulled it.
 */
export function drawEnding(random: SeededRandom, atMs: number): Step[] {
  const order = drawOrder(random);
  const count = random.pick(REACHED);
  const reached = order.slice(0, count);
  const missed = order.slice(count).sort((a, b) => a - b);
  const forMs = Math.round(scaled(random, 50, 1_500));
  const steps: Step[] = [];
  if (missed.length > 0) steps.push({ atMs, kind: 'isolate', nodes: missed, from: 'writer', forMs });
  if (random.chance(0.7)) steps.push({ atMs, kind: 'isolate', nodes: missed, from: 'nodes', forMs });
  steps.push({
    atMs: atMs + 0.5,
    kind: 'work',
    operations: between(random, 1, 6),
    salt: random.below(2 ** 31),
  });
  let at = atMs + scaled(random, 3, 60);
  const draw = random.below(10);
  if (draw < 6) steps.push({ atMs: at, kind: 'kill-writer', which: 'newest' });
  else if (draw < 9) steps.push({ atMs: at, kind: 'pause', who: 'writer', forMs: scaled(random, 20, 3_000) });
  // Else it goes on, and learns from somebody that it was replaced.
  const goes = random.pick([0, 0.7, 1, 1]);
  for (const node of reached) {
    const forMs = Math.round(scaled(random, 50, 2_500));
    if (random.chance(goes))
      steps.push({ atMs: at + 0.1, kind: 'power-loss', ...drawLoss(random, node), forMs });
  }
  for (let tries = random.below(3); tries > 0; tries--) {
    steps.push(...drawTornOpening(random, at));
    at += scaled(random, 0.5, 120);
    if (random.chance(0.5))
      steps.push({ atMs: at, kind: 'power-loss', ...drawLoss(random, random.below(6)) });
    if (random.chance(0.7)) steps.push({ atMs: at + 0.1, kind: 'kill-writer', which: 'newest' });
  }
  return steps;
}

/** An opening that reaches some nodes early and some late, while others lose power as they obey it. */
export function drawTornOpening(random: SeededRandom, atMs: number): Step[] {
  const steps: Step[] = [{ atMs, kind: 'open' }];
  if (random.chance(0.5)) {
    const nodes = drawNodes(random, between(random, 1, 4));
    const forMs = scaled(random, 5, 2_000);
    steps.push({ atMs: atMs + scaled(random, 0.1, 40), kind: 'isolate', nodes, from: 'writer', forMs });
  }
  if (random.chance(0.5)) {
    for (const node of drawNodes(random, between(random, 1, 3))) {
      const operations = random.below(3);
      steps.push({ atMs: atMs + 0.1, kind: 'power-loss-within', operations, ...drawLoss(random, node) });
    }
  }
  return steps;
}

/**
 * Two recoveries in a row that hear of different members. What the writer wrote last is on one member only, or on exactly a
 * write quorum of which one member loses its disk; gossip is kept from spreading it; the first recovery reaches those who
 * have it, or have lost it, the second one the others.
 */
export function drawFlip(random: SeededRandom, atMs: number): Step[] {
  const salt = random.below(2 ** 31);
  const order = drawOrder(random);
  const alone = random.chance(0.5);
  const missed = order.slice(alone ? 1 : 4);
  const forMs = 4_000;
  const steps: Step[] = [
    { atMs, kind: 'isolate', nodes: missed, from: 'writer', forMs },
    { atMs, kind: 'isolate', nodes: missed, from: 'nodes', forMs },
    { atMs: atMs + 0.5, kind: 'work', operations: between(random, 2, 6), salt },
  ];
  let at = atMs + scaled(random, 10, 80);
  steps.push({ atMs: at, kind: 'kill-writer', which: 'newest' });
  if (!alone) steps.push({ atMs: at, kind: 'wipe', node: order[0] });
  for (const node of alone ? order.slice(3) : order.slice(1, 4))
    steps.push({ atMs: at, kind: 'power-loss', ...drawLoss(random, node), forMs: 700 });
  steps.push({ atMs: at + 1, kind: 'open' });
  at += random.chance(0.5) ? scaled(random, 20, 700) : 700 + scaled(random, 1, 1_500);
  steps.push({ atMs: at, kind: 'work', operations: 2, salt: salt + 100 });
  at += scaled(random, 1, 100);
  steps.push({ atMs: at, kind: 'kill-writer', which: 'newest' });
  for (const node of order.slice(0, between(random, 1, 3)))
    steps.push({ atMs: at, kind: 'power-loss', ...drawLoss(random, node), forMs: 1_500 });
  steps.push({ atMs: at + scaled(random, 1, 60), kind: 'open' });
  return steps;
}

/**
 * Writers that are killed and followed, at any moment of a life; some of who follows, too, and some among nodes that fail. Mostly what
 * the first one took last reaches too few nodes to be found there.
 */
export function drawTakeOvers(random: SeededRandom, beginMs: number, lengthMs: number): Step[] {
  const steps: Step[] = [];
  for (let count = between(random, 1, 3); count > 0; count--) {
    let at = beginMs + lengthMs * unit(random);
    for (let loss = random.pick([0, 0, 0, 1, 2]); loss > 0; loss--) {
      const of = drawLoss(random, random.below(6));
      steps.push({ atMs: at + scaled(random, 0.1, 30), kind: 'power-loss', ...of });
    }
    if (random.chance(0.7)) {
      const nodes = drawNodes(random, between(random, 3, 6));
      const salt = random.below(2 ** 31);
      steps.push(
        { atMs: at, kind: 'isolate', nodes, from: 'writer', forMs: 500 },
        { atMs: at + 0.5, kind: 'work', operations: between(random, 2, 12), salt },
      );
    }
    do {
      at += scaled(random, 1, 60);
      steps.push({ atMs: at, kind: 'take-over' });
    } while (random.chance(0.3));
  }
  return steps;
}

/**
 * Writers that die in the middle of a turn, while some of their nodes are out of reach or not: what they do then has left to a few of
 * them, or is half in their memory. Mostly another one takes over.
 */
export function drawTornTurns(random: SeededRandom, { beginMs, lengthMs }: Life): Step[] {
  const steps: Step[] = [];
  for (let count = between(random, 1, 4); count > 0; count--) {
    const atMs = beginMs + lengthMs * unit(random);
    if (random.chance(0.3)) {
      const nodes = drawNodes(random, between(random, 1, 4));
      steps.push({ atMs, kind: 'isolate', nodes, from: 'writer', forMs: scaled(random, 20, 800) });
    }
    const where = random.chance(0.5)
      ? { ramBytes: Math.floor(scaled(random, 1, 9_000)) }
      : { frames: between(random, 1, 20), whenOpen: random.chance(0.8) };
    const next = random.chance(0.75) ? 'take-over' : 'open';
    const afterMs = scaled(random, 0.5, 120);
    const salt = random.below(2 ** 31);
    steps.push(
      { atMs: atMs + 0.05, kind: 'kill-writer-within', ...where, next, afterMs },
      { atMs: atMs + 0.05 + 20 * unit(random) ** 4, kind: 'work', operations: between(random, 1, 8), salt },
    );
  }
  return steps;
}

/** Writers that die in the middle of a mini-transaction over several groups, while others work on. */
export function drawTornMtrs(random: SeededRandom, of: { fromMs: number; toMs: number }): Step[] {
  const steps: Step[] = [];
  for (let count = between(random, 2, 6); count > 0; count--) {
    const atMs = of.fromMs + (of.toMs - of.fromMs) * unit(random);
    const salt = random.below(2 ** 31);
    steps.push({ atMs, kind: 'tear-mtr', forMs: 500, afterMs: scaled(random, 0.5, 60) });
    steps.push({ atMs: atMs + 0.1, kind: 'work', operations: between(random, 4, 12), salt });
  }
  return steps;
}

/**
 * A connection lags and is given up by the side that sends: what it has sent arrives when that side has said more on the next one.
 * Mostly it has something to say just then, and it is the writer who sends.
 */
export function drawLateResets(random: SeededRandom, { beginMs, lengthMs, steps }: Life): Step[] {
  const telling = steps.filter(({ kind, atMs }) => atMs >= beginMs && SENDS_MUCH.includes(kind));
  return Array.from({ length: between(random, 2, 14) }, (): Step => {
    const isAimed = telling.length > 0 && random.chance(0.8);
    const aimMs = isAimed ? random.pick(telling).atMs : beginMs + lengthMs * unit(random);
    const atMs = Math.max(0, aimMs + scaled(random, 0.05, 20) * random.pick([-1, 1]));
    const from: Party = random.chance(0.85) ? 'writer' : random.below(6);
    const lateMs = Math.round(scaled(random, 5, 2_500));
    const afterMs = scaled(random, 0.5, 200);
    return { atMs, kind: 'late-reset', from, to: random.below(6), lateMs, afterMs };
  });
}

/**
 * The registry is away for a moment or for longer, mostly when somebody is about to change something in it: at an opening, a
 * take-over, a change of members by hand.
 */
export function drawRegistryTrouble(random: SeededRandom, { beginMs, lengthMs, steps }: Life): Step[] {
  const changes = steps.filter(({ kind, atMs }) => atMs >= beginMs && CHANGES_REGISTRY.includes(kind));
  return Array.from({ length: between(random, 1, 4) }, () => {
    const isAimed = changes.length > 0 && random.chance(0.7);
    const aimMs = isAimed ? random.pick(changes).atMs : beginMs + lengthMs * unit(random);
    const atMs = Math.max(0, aimMs + scaled(random, 0.1, 60) * random.pick([-0.2, 1, 1]));
    const who = random.pick(['writer', 'writer', 'everybody'] as const);
    const fault = random.pick(['before', 'after', 'after', 'late'] as const);
    return { atMs, kind: 'registry-away', who, fault, forMs: Math.round(scaled(random, 2, 3_000)) };
  });
}

function drawOrder(random: SeededRandom): number[] {
  const left = [...NODES];
  return NODES.map(() => left.splice(random.below(left.length), 1)[0]);
}

export function drawLossOf(random: SeededRandom) {
  const forMs = Math.round(scaled(random, 5, 1_000));
  return { tear: random.pick(TEARS), salt: random.below(2 ** 31), forMs };
}

function drawLoss(random: SeededRandom, node: number) {
  return { node, ...drawLossOf(random) };
}

function drawParty(random: SeededRandom): Party {
  return random.chance(0.4) ? 'writer' : random.below(6);
}

function drawNodes(random: SeededRandom, count: number): number[] {
  return drawOrder(random)
    .slice(0, count)
    .sort((a, b) => a - b);
}
