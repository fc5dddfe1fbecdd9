/**
 * Runs a schedule from start to rest: its steps, then the end of all faults, then what must hold when everybody is there
 * (I16): a writer opens, what it writes becomes durable, every page reads as it should, and all members converge while
 * the writer is silent.
 */
import { asLsn, systemClock, type Lsn, type PgIndex } from '@rokka/kernel';
import { BrokenInvariant, demand } from './broken-invariant.ts';
import type { SimEvent } from './events.ts';
import type { Schedule } from './schedule.ts';
import type { SimWriter } from './sim-writer.ts';
import { carryOut } from './steps/index.ts';
import { World } from './world.ts';

/** How long the healed cluster may take for each of its duties, in virtual time. */
const OPEN_MS = 40_000;
const READ_MS = 30_000;
const CONVERGE_MS = 40_000;
const LAST_WORK = 8;

export interface RunOptions {
  onEvent?: (atMs: number, event: SimEvent) => void;
  /** Only these invariants count: whether a bug that is noticed early would also have reached a client. Default all. */
  judges?: readonly string[];
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
  const world = await World.start(schedule.seed, schedule.knobs, options.judges);
  if (options.onEvent) world.events.onEvent = options.onEvent;
  // A promise that a process forgot to handle is a bug of ours like a failed assertion.
  const onRejection = (error: unknown) => world.fail(error);
  process.on('unhandledRejection', onRejection);
  let broken: BrokenInvariant | undefined;
  try {
    await play(world, schedule);
    await comeToRest(world);
    await new Promise<void>((resolve) => systemClock.soon(resolve));
    await world.advance(world.clock.nowMs());
  } catch (error) {
    if (!(error instanceof BrokenInvariant)) throw error;
    broken = error;
  } finally {
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

async function play(world: World, schedule: Schedule): Promise<void> {
  for (const step of schedule.steps) {
    await world.advance(step.atMs);
    world.reach = Math.min(1, 0.2 + step.atMs / schedule.endMs);
    carryOut(world, step);
  }
  await world.advance(schedule.endMs);
}

async function comeToRest(world: World): Promise<void> {
  world.undoAll();
  world.reach = 1;
  for (const node of world.nodes) if (!node.disk.doubtful) node.start();
  const writer = await workAtLast(world);
  await readEverything(world, writer);
  await demandConvergence(world, writer);
}

/**
 * A writer opens and what it writes becomes durable. The newest one may have been replaced without knowing it, by one that
 * was killed as soon as it had taken the volume over: then it fails at work, and another one opens.
 */
async function workAtLast(world: World): Promise<SimWriter> {
  const untilMs = world.clock.nowMs() + OPEN_MS;
  const leftMs = () => untilMs - world.clock.nowMs();
  let state = 'no writer';
  while (leftMs() > 0) {
    const writer = world.writer ?? world.open();
    await world.waitFor(() => writer.state !== 'opening', leftMs());
    const { client, volume } = writer;
    client?.work(LAST_WORK, world.seed);
    const isDone = () => client?.idle === true && volume?.durable === volume?.applied;
    await world.waitFor(() => writer.state !== 'open' || isDone(), leftMs());
    if (writer.state === 'open' && isDone()) return writer;
    const { vdl = 0, lastLsn = 0 } = volume?.status() ?? {};
    const why = writer.failure?.message ?? 'no reason given';
    state = `${writer.name} is ${writer.state} (${why}), VDL ${vdl}, last LSN ${lastLsn}`;
  }
  throw new BrokenInvariant('I16', `no writer works ${OPEN_MS} ms after all faults: ${state}`);
}

async function readEverything(world: World, writer: SimWriter): Promise<void> {
  const { client, volume } = writer;
  let left = 0;
  for (let page = 0; page < (volume?.mappedPages ?? 0); page++) {
    left++;
    client?.look(page).then(
      () => left--,
      (error: unknown) => world.fail(error),
    );
  }
  const inTime = await world.waitFor(() => left === 0, READ_MS);
  demand(inTime, 'I16', () => `${left} pages cannot be read after all faults`);
}

async function demandConvergence(world: World, writer: SimWriter): Promise<void> {
  const lag = () => lagging(world, writer);
  const inTime = await world.waitFor(() => lag().length === 0, CONVERGE_MS);
  demand(inTime, 'I16', () => `${CONVERGE_MS} ms after the last write: ${lag().join('; ')}`);
}

/** Segments of members with sound disks that lack something of what the volume is. */
function lagging(world: World, writer: SimWriter): string[] {
  const lags: string[] = [];
  const epoch = writer.volume?.status().volumeEpoch ?? 0;
  const { history } = world.oracles;
  const branch = history.branches.get(epoch as never);
  for (const { pg, members } of history.volume?.groups ?? []) {
    const expected = branch?.lastOf(pg, branch.last) ?? asLsn(0);
    for (const { node } of members) {
      if (world.atlas.isLost(node)) continue;
      const scl = sclOf(world, node, pg);
      if (scl !== expected) lags.push(`${node}, group ${pg} has ${scl} of ${expected}`);
    }
  }
  return lags;
}

function sclOf(world: World, id: string, pg: PgIndex): Lsn | string {
  const sim = world.nodes.find((node) => node.id === id);
  const segments = [...(sim?.node?.store.segments.all ?? [])];
  const segment = segments.find((one) => one.pg === pg);
  if (!segment) return sim?.failure?.message ?? 'no segment';
  if (segment.fault) return segment.fault.message;
  return segment.damaged
    ? `${segment.durableScl} and unknown up to ${segment.requiredScl}`
    : segment.durableScl;
}
