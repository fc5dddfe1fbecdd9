/**
 * I16, liveness: when all faults are over and everybody is there, a writer opens, what it writes becomes durable, every page
 * reads as it should, and all members converge while the writer is silent; each within a bounded virtual time.
 */
import { asLsn, type Lsn, type PgIndex } from '@rokka/kernel';
import { allMembers } from '@rokka/quorum';
import { BrokenInvariant, demand } from './broken-invariant.ts';
import { addMissingMachines, unhealed } from './heal.ts';
import type { SimWriter } from './sim-writer.ts';
import type { World } from './world.ts';

/** How long the healed cluster may take for each of its duties, in virtual time. */
const WORK_MS = 40_000;
const READ_MS = 30_000;
const HEAL_MS = 60_000;
const HEAL_LOOK_MS = 5_000;
const CONVERGE_MS = 40_000;
const LAST_WORK = 8;

/** @throws BrokenInvariant */
export async function comeToRest(world: World): Promise<void> {
  world.undoAll();
  world.reach = 1;
  // One whose log's end was spoilt unnoticed would lie about it (SimDisk.doubtful): it stays away, as it would for a person.
  for (const node of world.nodes) if (!node.disk.doubtful) node.start();
  if (world.knobs.spares !== undefined) {
    world.healing = true;
    addMissingMachines(world);
  }
  // The newest writer may have been replaced without knowing it, by one that was killed when it had taken the volume over
  // or had fenced some nodes: it learns it sooner or later, ends, and another one opens. Each time one such is used up.
  for (let left = world.writers.length + 1; left > 0; left--) {
    const writer = await workAtLast(world);
    if (
      (await readEverything(world, writer)) &&
      (await heals(world, writer)) &&
      (await converges(world, writer))
    )
      return;
  }
  throw new BrokenInvariant('I16', 'writers are replaced again and again, and nobody opens the volume');
}

/** A writer opens and what it writes becomes durable. */
async function workAtLast(world: World): Promise<SimWriter> {
  const untilMs = world.clock.nowMs() + WORK_MS;
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
  throw new BrokenInvariant('I16', `no writer works ${WORK_MS} ms after all faults: ${state}`);
}

/** Answers false where the writer was replaced. */
async function readEverything(world: World, writer: SimWriter): Promise<boolean> {
  const { client, volume } = writer;
  let left = 0;
  for (let page = 0; page < (volume?.mappedPages ?? 0); page++) {
    left++;
    client?.look(page).then(
      () => left--,
      (error: unknown) => {
        if (writer.state === 'open') world.fail(error);
      },
    );
  }
  const inTime = await world.waitFor(() => left === 0 || writer.state !== 'open', READ_MS);
  demand(inTime, 'I16', () => `${left} pages cannot be read ${READ_MS} ms after all faults`);
  return writer.state === 'open';
}

/** Answers false where the writer was replaced. */
async function heals(world: World, writer: SimWriter): Promise<boolean> {
  if (world.knobs.spares === undefined) return true;
  let inTime = false;
  for (const endMs = world.clock.nowMs() + HEAL_MS; !inTime && world.clock.nowMs() < endMs;) {
    // That a machine came back without its data shows only when it says so.
    addMissingMachines(world);
    const isOver = () => isNone(unhealed(world)) || writer.state !== 'open';
    inTime = await world.waitFor(isOver, HEAL_LOOK_MS);
  }
  demand(inTime, 'I16', () => `${HEAL_MS} ms after all faults: ${[...unhealed(world)].join('; ')}`);
  return writer.state === 'open';
}

/** Answers false where the writer was replaced. */
async function converges(world: World, writer: SimWriter): Promise<boolean> {
  const lag = () => lagging(world, writer);
  const inTime = await world.waitFor(() => isNone(lag()) || writer.state !== 'open', CONVERGE_MS);
  demand(inTime, 'I16', () => `${CONVERGE_MS} ms after the last write: ${[...lag()].join('; ')}`);
  return writer.state === 'open';
}

/** Segments of members with sound disks that lack something of what the volume is; found one by one, as `unhealed`. */
function* lagging(world: World, writer: SimWriter): Iterable<string> {
  const epoch = writer.volume?.status().volumeEpoch ?? 0;
  const { history } = world.oracles;
  const branch = history.branches.get(epoch as never);
  for (const { pg, membership } of history.volume?.groups ?? []) {
    const expected = branch?.lastOf(pg, branch.last) ?? asLsn(0);
    for (const { node } of allMembers(membership)) {
      if (world.atlas.isLost(node)) continue;
      const scl = sclOf(world, node, pg);
      if (scl !== expected) yield `${node}, group ${pg} has ${scl} of ${expected}`;
    }
  }
}

function isNone(found: Iterable<string>): boolean {
  for (const _ of found) return false;
  return true;
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
