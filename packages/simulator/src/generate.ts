/**
 * Makes the schedule of a seed: a few lives of writers, each with work, background trouble, and an end that is likely to
 * leave something behind. Pure: a schedule follows from its seed alone.
 */
import type { SeededRandom } from '@rokka/kernel';
import {
  drawKnobs,
  drawMembershipKnobs,
  drawPaceKnobs,
  drawPlaceKnobs,
  drawReadKnobs,
  drawShipKnobs,
} from './knobs.ts';
import { withLongPauses } from './long-pauses.ts';
import { drawEarlyPeeks, drawExodus, drawMembershipPlot, drawMisfits } from './membership-plots.ts';
import {
  drawEnding,
  drawFault,
  drawFlip,
  drawLateResets,
  drawRegistryTrouble,
  drawTakeOvers,
  drawTornMtrs,
  drawTornOpening,
  drawTornTurns,
} from './plots.ts';
import { round, type Schedule, type Step } from './schedule.ts';
import { between, scaled, stream, unit } from './seeds.ts';

/** Share of the histories that have time to wait out what the others never come to. */
const LONG_PAUSES = 0.25;

export function generate(seed: number): Schedule {
  const membership = stream(seed, 'membership');
  const knobs = {
    ...drawKnobs(stream(seed, 'knobs')),
    ...drawMembershipKnobs(membership),
    ...drawPlaceKnobs(stream(seed, 'place')),
    ...drawShipKnobs(stream(seed, 'ships')),
    ...drawReadKnobs(stream(seed, 'reads')),
    ...drawPaceKnobs(stream(seed, 'eager clients')),
  };
  const work = stream(seed, 'work');
  const faults = stream(seed, 'faults');
  const lives = stream(seed, 'lives');
  const takeOvers = stream(seed, 'take-overs');
  const transient = transients(seed);
  const steps: Step[] = [];
  let atMs = 5;
  for (let count = between(lives, 2, 4); count > 0; count--) {
    steps.push(...drawTornOpening(lives, atMs));
    const beginMs = atMs;
    const lengthMs = Math.round(scaled(lives, 150, 3_000));
    atMs += lengthMs;
    steps.push(...drawWork(work, beginMs, lengthMs));
    steps.push(...drawTrouble(faults, beginMs, lengthMs));
    if (takeOvers.chance(0.4)) steps.push(...drawTakeOvers(takeOvers, beginMs, lengthMs));
    if (knobs.spares !== undefined) {
      // Changes take their time: some lives last longer.
      const quietMs = membership.chance(0.5) ? scaled(membership, 300, 4_000) : 0;
      steps.push(...drawMemberships(membership, beginMs, lengthMs + quietMs));
      if (quietMs > 0) steps.push(...drawWork(membership, atMs, quietMs));
      atMs += quietMs;
      if (membership.chance(0.3)) {
        const exodus = drawExodus(membership, atMs);
        steps.push(...exodus.steps);
        atMs = exodus.endMs;
      }
    }
    const life = { beginMs, lengthMs: atMs - beginMs, steps: [...steps] };
    for (const { random, draw } of transient) if (random.chance(0.6)) steps.push(...draw(random, life));
    const ending = lives.chance(0.2) ? drawFlip(lives, atMs) : drawEnding(lives, atMs);
    steps.push(...ending);
    atMs = Math.max(atMs, ...ending.map((step) => step.atMs)) + Math.round(scaled(lives, 1, 400));
  }
  const tornMtrs = stream(seed, 'torn mtrs');
  if (knobs.groups > 1 && tornMtrs.chance(0.3))
    steps.push(...drawTornMtrs(tornMtrs, { fromMs: atMs * 0.3, toMs: atMs }));
  steps.push(
    ...drawMisfits(stream(seed, 'misfits'), steps),
    ...drawEarlyPeeks(stream(seed, 'early peeks'), steps),
  );
  const ordered = steps.map((step) => ({ ...step, atMs: round(step.atMs) })).sort((a, b) => a.atMs - b.atMs);
  const endMs = Math.max(atMs, ordered.at(-1)?.atMs ?? 0) + 50;
  const schedule: Schedule = { version: 1, seed, knobs, steps: ordered, endMs: round(endMs) };
  const pauses = stream(seed, 'long pauses');
  return pauses.chance(LONG_PAUSES) ? withLongPauses(pauses, schedule) : schedule;
}

/** Kinds of trouble that some seeds have and others don't, each from a stream of its own: a seed without one is as if there were none. */
function transients(seed: number) {
  const kinds = [
    { name: 'registry-away', draw: drawRegistryTrouble },
    { name: 'late-reset', draw: drawLateResets },
    { name: 'torn-turns', draw: drawTornTurns },
  ];
  return kinds
    .map(({ name, draw }) => ({ random: stream(seed, name), draw }))
    .filter(({ random }) => random.chance(0.3));
}

/** Bursts of operations, at a pace that changes from life to life. */
function drawWork(random: SeededRandom, beginMs: number, lengthMs: number): Step[] {
  const pauseMs = scaled(random, 4, 150);
  const most = between(random, 1, 8);
  const steps: Step[] = [];
  for (let at = 0; at < lengthMs; at += pauseMs * 2 * unit(random)) {
    const salt = random.below(2 ** 31);
    steps.push({ atMs: round(beginMs + at), kind: 'work', operations: between(random, 1, most), salt });
  }
  return steps;
}

function drawTrouble(random: SeededRandom, beginMs: number, lengthMs: number): Step[] {
  if (random.chance(0.1)) return [];
  const pauseMs = scaled(random, 20, 800);
  const steps: Step[] = [];
  for (let at = pauseMs * unit(random); at < lengthMs; at += pauseMs * 2 * unit(random))
    steps.push(drawFault(random, round(beginMs + at)));
  return steps;
}

function drawMemberships(random: SeededRandom, beginMs: number, lengthMs: number): Step[] {
  const pauseMs = scaled(random, 100, 1_000);
  const steps: Step[] = [];
  for (let at = pauseMs * unit(random); at < lengthMs; at += pauseMs * 2 * unit(random))
    steps.push(...drawMembershipPlot(random, round(beginMs + at)));
  return steps;
}
