/** Trouble around members that come and go, for schedules whose clusters have spares. */
import type { SeededRandom, Zone } from '@rokka/kernel';
import { drawLossOf } from './plots.ts';
import type { Step } from './schedule.ts';
import { between, scaled } from './seeds.ts';

const ZONES = ['a', 'b', 'c'] as Zone[];

/** One step, or a few that belong together. */
export function drawMembershipPlot(random: SeededRandom, atMs: number): Step[] {
  const draw = random.below(100);
  if (draw < 30) return drawChange(random, atMs);
  if (draw < 40) return drawTwoChanges(random, atMs);
  if (draw < 49) return [{ atMs, kind: 'burn', node: random.below(6), isTold: random.chance(0.4) }];
  if (draw < 54) return [drawDrain(random, atMs)];
  if (draw < 60) return drawLoneReader(random, atMs);
  if (draw < 68) return drawZoneLoss(random, atMs);
  if (draw < 71) return [{ atMs, kind: 'add-node', zone: random.pick(ZONES) }];
  if (draw < 80) return drawTornInstall(random, atMs);
  if (draw < 85) return drawLateCopy(random, atMs);
  if (draw < 88) return [{ atMs, kind: 'wipe', node: random.below(6) }];
  if (draw < 92) {
    const forMs = scaled(random, 200, 4_000);
    return [{ atMs, kind: 'kill-node', node: random.below(6), forMs }];
  }
  return drawPeeks(random, atMs);
}

/** A replacement by hand, disturbed more often than not, and somebody who wants it over, too early or not. */
function drawChange(random: SeededRandom, atMs: number): Step[] {
  const group = random.below(4);
  const slot = random.below(6);
  const steps: Step[] = [{ atMs, kind: 'begin-change', group, slot, salt: random.below(2 ** 31) }];
  if (random.chance(0.3))
    steps.push({
      atMs: Math.max(0, atMs - 1),
      kind: 'kill-node',
      node: slot,
      forMs: scaled(random, 50, 4_000),
    });
  const within = () => atMs + scaled(random, 0.2, 900);
  if (random.chance(0.4)) steps.push(drawStrike(random, within(), group));
  if (random.chance(0.35)) {
    const killMs = atMs + scaled(random, 0.2, 120);
    steps.push({ atMs: killMs, kind: 'kill-writer', which: 'newest' });
    steps.push({ atMs: killMs + scaled(random, 0.5, 200), kind: 'open' });
  } else if (random.chance(0.25)) {
    // The paused one tries to end what its successor knows about.
    steps.push({ atMs: atMs + 1, kind: 'pause', who: 'writer', forMs: scaled(random, 50, 2_000) });
    steps.push({ atMs: atMs + 2, kind: 'open' });
  }
  for (let tries = between(random, 1, 4); tries > 0; tries--) steps.push(drawEnd(random, within(), group));
  return steps;
}

function drawTwoChanges(random: SeededRandom, atMs: number): Step[] {
  const group = random.below(4);
  const first = random.below(6);
  const second = (first + between(random, 1, 5)) % 6;
  const begin = (at: number, slot: number): Step => {
    return { atMs: at, kind: 'begin-change', group, slot, salt: random.below(2 ** 31) };
  };
  const apartMs = scaled(random, 20, 400);
  const steps = [begin(atMs, first), begin(atMs + apartMs, second)];
  if (random.chance(0.5)) {
    steps.push({ atMs: atMs + apartMs + scaled(random, 1, 100), kind: 'kill-writer', which: 'newest' });
    steps.push({ atMs: atMs + apartMs + 110, kind: 'open' });
  }
  if (random.chance(0.4)) steps.push(drawStrike(random, atMs + apartMs + scaled(random, 1, 300), group));
  for (let tries = between(random, 2, 5); tries > 0; tries--)
    steps.push(drawEnd(random, atMs + apartMs + scaled(random, 1, 1_200), group));
  return steps;
}

function drawEnd(random: SeededRandom, atMs: number, group: number): Step {
  const keep = random.chance(0.6) ? 'newcomer' : 'member';
  return { atMs, kind: 'end-change', group, keep, which: random.below(2) };
}

function drawStrike(random: SeededRandom, atMs: number, group: number): Step {
  const how = random.pick(['kill', 'power', 'power', 'burn'] as const);
  const { tear, salt, forMs } = drawLossOf(random);
  return { atMs, kind: 'strike-newcomer', group, how, tear, salt, forMs };
}

function drawDrain(random: SeededRandom, atMs: number): Step {
  const forMs = random.chance(0.5) ? scaled(random, 50, 1_500) : scaled(random, 1_500, 20_000);
  return { atMs, kind: 'drain', node: random.below(6), forMs };
}

/** A zone and mostly one more are away, for as long as a blink or until somebody is forced out; then they come back. */
function drawZoneLoss(random: SeededRandom, atMs: number): Step[] {
  const zone = random.pick(ZONES);
  const more = random.chance(0.7) ? { more: random.below(6) } : {};
  const forMs = scaled(random, 300, random.chance(0.3) ? 25_000 : 6_000);
  const { tear, salt } = drawLossOf(random);
  const steps: Step[] = [{ atMs, kind: 'lose-zone', zone, ...more, tear, salt, forMs }];
  if (random.chance(0.4)) {
    steps.push({ atMs: atMs + scaled(random, 1, 500), kind: 'kill-writer', which: 'newest' });
    steps.push({ atMs: atMs + scaled(random, 500, 900), kind: 'open' });
  }
  return steps;
}

/** Members lose power as they hear of a change, come back at once, and hear from their peers before they hear from the writer. */
function drawTornInstall(random: SeededRandom, atMs: number): Step[] {
  const [group, slot, salt] = [random.below(4), random.below(6), random.below(2 ** 31)];
  const steps: Step[] = [{ atMs, kind: 'begin-change', group, slot, salt }];
  const nodes = [random.below(6), random.below(6)];
  const cutMs = atMs + scaled(random, 5, 60);
  steps.push({ atMs: cutMs, kind: 'isolate', nodes, from: 'writer', forMs: scaled(random, 200, 2_500) });
  for (const node of nodes) {
    const { tear, salt: lossSalt } = drawLossOf(random);
    const operations = random.below(2);
    const loss = { node, tear, salt: lossSalt, forMs: scaled(random, 5, 60) };
    steps.push({ atMs: atMs + 0.05, kind: 'power-loss-within', operations, ...loss });
  }
  return steps;
}

/** A newcomer copies pages when they are newer than all that its writer has told it, and is asked for older ones. */
function drawLateCopy(random: SeededRandom, atMs: number): Step[] {
  const salt = random.below(2 ** 31);
  const steps: Step[] = [{ atMs, kind: 'begin-change', group: 0, slot: random.pick([0, 2, 4]), salt }];
  const strike = (at: number, how: 'cut-writer' | 'cut-nodes', forMs: number): Step => {
    return { atMs: atMs + at, kind: 'strike-newcomer', group: 0, how, tear: 'all', salt, forMs };
  };
  for (const at of [0.5, 2, 5, 9, 14, 20, 27]) steps.push(strike(at, 'cut-nodes', 400 - at));
  steps.push(strike(100, 'cut-writer', scaled(random, 1_500, 5_000)));
  for (let at = 110; at < 400; at += 30)
    steps.push({ atMs: atMs + at, kind: 'work', operations: 5, salt: salt + at });
  for (let at = 420; at < 3_400; at += 110) {
    const back = Math.floor(scaled(random, 1, 80));
    steps.push({ atMs: atMs + at, kind: 'peek', node: 'newcomer', page: random.below(6), back });
  }
  return steps;
}

/**
 * A zone and one more go for so long that somebody is forced out, while a writer waits or while one recovers; then those who
 * stayed go, and those who were away come back alone: they must not be enough to open the volume with.
 */
export function drawExodus(random: SeededRandom, atMs: number): { steps: Step[]; endMs: number } {
  const zone = random.below(3);
  const more = (2 * zone + between(random, 2, 5)) % 6;
  const whileOpening = random.chance(0.3);
  const awayMs = whileOpening ? between(random, 17_000, 21_000) : scaled(random, 3_500, 9_000);
  const { tear, salt } = drawLossOf(random);
  const steps: Step[] = [
    { atMs, kind: 'work', operations: 6, salt },
    { atMs: atMs + 40, kind: 'lose-zone', zone: ZONES[zone], more, tear, salt, forMs: awayMs },
  ];
  if (whileOpening) {
    steps.push({ atMs: atMs + 60, kind: 'kill-writer', which: 'newest' });
    steps.push({ atMs: atMs + 80, kind: 'open' });
  }
  for (let at = atMs + 100; at < atMs + awayMs; at += awayMs / 8)
    steps.push({ atMs: at, kind: 'work', operations: 3, salt: salt + Math.round(at) });
  let endMs = atMs + awayMs * scaled(random, 0.7, 1.1);
  if (random.chance(0.7)) {
    steps.push({ atMs: endMs, kind: 'kill-writer', which: 'newest' });
    const forMs = scaled(random, 300, 3_000);
    for (const place of [0, 1, 2, 3, 4, 5])
      if (place >> 1 !== zone && place !== more)
        steps.push({ atMs: endMs + 1, kind: 'power-loss', node: place, ...drawLossOf(random), forMs });
    steps.push({ atMs: endMs + 2, kind: 'open' });
    endMs += forMs + scaled(random, 10, 1_000);
  }
  return { steps, endMs };
}

/** Two full members are replaced one after the other; the third goes away, so that pages come from those who were filled. */
function drawLoneReader(random: SeededRandom, atMs: number): Step[] {
  const group = random.below(4);
  const steps: Step[] = [];
  for (const slot of [0, 2, 4]) {
    const at = atMs + slot * scaled(random, 100, 300);
    const forMs = scaled(random, 500, 4_000);
    if (slot < 4) {
      steps.push({ atMs: at, kind: 'begin-change', group, slot, salt: random.below(2 ** 31) });
      for (const laterMs of [150, 300, 600])
        steps.push({ atMs: at + laterMs, kind: 'end-change', group, keep: 'newcomer', which: 0 });
    } else steps.push({ atMs: at + 700, kind: 'kill-node', node: slot, forMs });
  }
  const salt = random.below(2 ** 31);
  for (let i = 0; i < 6; i++)
    steps.push({ atMs: atMs + 1_300 + i * 60, kind: 'work', operations: 6, salt: salt + i * 10 });
  return steps;
}

function drawPeeks(random: SeededRandom, atMs: number): Step[] {
  return Array.from({ length: between(random, 2, 10) }, () => ({
    atMs: atMs + scaled(random, 0.1, 600),
    kind: 'peek' as const,
    node: random.below(9),
    page: random.below(64),
    back: Math.floor(scaled(random, 1, 60)) - 1,
  }));
}

/** Beside each of some replacements somebody asks for one that would leave a zone or a kind short; it must be as if he had not. */
export function drawMisfits(random: SeededRandom, steps: readonly Step[]): Step[] {
  return steps.flatMap((step): Step[] => {
    if (step.kind !== 'begin-change' || !random.chance(0.3)) return [];
    const salt = random.below(2 ** 31);
    const atMs = Math.max(0, step.atMs + scaled(random, 1, 400) - 100);
    const slot = random.below(6);
    return [{ atMs, kind: 'begin-change', group: step.group, slot, salt, misfit: true }];
  });
}

/** Members that hear nothing from their writer are asked for what they may not have yet. */
export function drawEarlyPeeks(random: SeededRandom, steps: readonly Step[]): Step[] {
  return steps.flatMap((step): Step[] => {
    if (step.kind !== 'isolate' || step.from !== 'writer' || step.nodes.length === 0) return [];
    if (!random.chance(0.4)) return [];
    return Array.from({ length: between(random, 3, 8) }, () => ({
      atMs: step.atMs + scaled(random, 1, Math.max(2, Math.min(step.forMs, 1_000))),
      kind: 'peek' as const,
      node: random.pick(step.nodes),
      page: random.below(64),
      back: random.below(4),
    }));
  });
}
