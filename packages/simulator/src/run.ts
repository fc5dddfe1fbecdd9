/** Runs a schedule from start to rest (rest.ts), and reports what broke and what happened. */
import { systemClock } from '@rokka/kernel';
import { BrokenInvariant } from './broken-invariant.ts';
import type { SimEvent } from './events.ts';
import { comeToRest } from './rest.ts';
import type { Schedule } from './schedule.ts';
import { carryOut } from './steps/index.ts';
import { World } from './world.ts';

export interface RunOptions {
  onEvent?: (atMs: number, event: SimEvent) => void;
}

export interface RunReport {
  readonly seed: number;
  readonly broken: BrokenInvariant | undefined;
  /** Stands for everything that happened: the same schedule gives the same one. */
  readonly hash: number;
  readonly events: number;
  readonly virtualMs: number;
  /** Steps carried out, by kind. */
  readonly faults: ReadonlyMap<string, number>;
  readonly eventCounts: ReadonlyMap<string, number>;
  readonly records: number;
}

/** Never rejects for what the cluster does: a broken invariant is in the report. */
export async function runSchedule(schedule: Schedule, options: RunOptions = {}): Promise<RunReport> {
  using world = await World.start(schedule.seed, schedule.knobs);
  if (options.onEvent) world.events.onEvent = options.onEvent;
  // A promise that a process forgot to handle is a bug of ours like a failed assertion.
  const onRejection = (error: unknown) => world.fail(error);
  process.on('unhandledRejection', onRejection);
  let broken: BrokenInvariant | undefined;
  try {
    await play(world, schedule);
    await comeToRest(world);
    await turn();
    await world.advance(world.clock.nowMs());
  } catch (error) {
    if (!(error instanceof BrokenInvariant)) throw error;
    broken = error;
  } finally {
    // Node tells of rejections at the end of a turn: those of this run must not be laid to the next one.
    await turn();
    process.off('unhandledRejection', onRejection);
  }
  return {
    seed: schedule.seed,
    broken,
    hash: world.events.hash,
    events: world.events.length,
    virtualMs: world.clock.nowMs(),
    faults: world.faults,
    eventCounts: world.events.counts,
    records: world.oracles.history.records.size,
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => systemClock.soon(resolve));
}

async function play(world: World, schedule: Schedule): Promise<void> {
  for (const step of schedule.steps) {
    await world.advance(step.atMs);
    world.reach = Math.min(1, 0.2 + step.atMs / schedule.endMs);
    carryOut(world, step);
  }
  await world.advance(schedule.endMs);
}
