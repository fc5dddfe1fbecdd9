/**
 * Time to wait out. Steps of a schedule are close together, so that a few seconds meet what takes weeks in life; but most of what
 * nodes and writers wait for takes as long as it does (ten seconds until a silent member counts as gone, thirty until a registry is
 * given up), and a fault of half a second ends before any of it. Here what is close stays close, and everything longer lasts many
 * times as long, in a cluster that heals and gossips at the product's own times.
 */
import type { SeededRandom } from '@rokka/kernel';
import { HEALING_TIMES } from '@rokka/quorum';
import type { Knobs } from './knobs.ts';
import { round, type Schedule, type Step } from './schedule.ts';
import { scaled } from './seeds.ts';

/** Steps that are no further apart belong together, and a fault that is no longer is meant to be a blink. */
const CLOSE_MS = 20;
/** Longer than every deadline of the data path, and than the healer's. */
const LONGEST_MS = 90_000;

export function withLongPauses(random: SeededRandom, schedule: Schedule): Schedule {
  const factor = scaled(random, 5, 50);
  const longer = (ms: number) =>
    ms <= CLOSE_MS ? ms : Math.max(ms, Math.min(CLOSE_MS + (ms - CLOSE_MS) * factor, LONGEST_MS));
  let lastMs = 0;
  let movedMs = 0;
  const moved = (atMs: number) => {
    movedMs += longer(atMs - lastMs);
    lastMs = atMs;
    return round(movedMs);
  };
  const steps = schedule.steps.map((step): Step => {
    const atMs = moved(step.atMs);
    return 'forMs' in step ? { ...step, atMs, forMs: round(longer(step.forMs)) } : { ...step, atMs };
  });
  return { ...schedule, knobs: unhurried(schedule.knobs), steps, endMs: moved(schedule.endMs) };
}

export function hasLongPauses({ knobs }: Schedule): boolean {
  return knobs.gossipIntervalMs === undefined;
}

function unhurried(knobs: Knobs): Knobs {
  const { gossipIntervalMs: _, ...others } = knobs;
  return knobs.spares === undefined ? others : { ...others, healing: HEALING_TIMES };
}
