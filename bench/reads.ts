/**
 * Random pages of 8 KiB that no cache of Rokka's has, 16 in flight, from six node processes; and the same when the kernel
 * has let go of the nodes' files, each page once, so that all of them come from the disk.
 */
import { PAGE_SIZE, systemRandom, type PageNumber } from '@rokka/kernel';
import { PageCache, type Volume } from '@rokka/volume';
import { forgetFiles, readFiles } from './disk.ts';
import { sleep } from './interruption.ts';
import { load, type Load } from './load.ts';
import { median, type Row } from './report.ts';
import { startNodes } from './storage-nodes.ts';
import { treeCpuSeconds } from './system.ts';
import type { Plan, Topic } from './topic.ts';
import { VolumePlace } from './volume-place.ts';

const IN_FLIGHT = 16;
const MIB = 2 ** 20;
const SIZE_MIB = 1024;
const SIZE_MIB_QUICK = 64;
const GOAL_PER_SECOND = 20_000;
const GOAL_P99_IN_P50 = 3;
/** Records become pages, off the path. */
const SETTLE_MS = 3_000;
const SETTLE_MS_QUICK = 1_500;
/** Pages written between two waits. */
const WRITE_BURST = 64;

export const reads: Topic = { programs: ['dd'], rows: readRows };

async function readRows(plan: Plan): Promise<Row[]> {
  await using nodes = await startNodes(plan.directory);
  await using volume = await (await VolumePlace.make(nodes)).open();
  const pages = ((plan.quick ? SIZE_MIB_QUICK : SIZE_MIB) * MIB) / PAGE_SIZE;
  await fill(volume, pages);
  await sleep(plan.quick ? SETTLE_MS_QUICK : SETTLE_MS);
  const cpuSeconds = () => treeCpuSeconds([process.pid]);
  // As the page cache does it.
  const read = async (page: PageNumber) => {
    const content = await volume.read(page);
    if (content) volume.giveBack(content);
  };
  const measure = (next: () => number) =>
    load({ inFlight: IN_FLIGHT, seconds: plan.seconds, cpuSeconds }, () => read(next() as PageNumber));
  const warm: Load[] = [];
  const cold: Load[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    // Those from the disk have had the kernel let go of them.
    await readFiles(nodes.directory);
    warm.push(await measure(() => systemRandom.below(pages)));
    await forgetFiles(nodes.directory);
    cold.push(await measure(once(pages)));
    for (const [kind, results] of Object.entries({ warm, cold }))
      plan.say(`round ${round}: random reads, ${kind}: ${results.at(-1)?.perSecond.toFixed(0)} /s`);
  }
  return [
    ...rowsOf(`random reads of 8 KiB, ${IN_FLIGHT} in flight, kernel holds the files`, warm),
    ...rowsOf(`random reads of 8 KiB, ${IN_FLIGHT} in flight, from the disk`, cold),
  ];
}

async function fill(volume: Volume, pages: number): Promise<void> {
  const cache = new PageCache(volume, { sizeBytes: 16 * MIB });
  for (let page = 0; page < pages; page++) {
    const bytes = Buffer.alloc(PAGE_SIZE, `page ${page} `);
    const ticket = cache.apply([{ page: page as PageNumber, offset: 0, bytes, init: true }]);
    if (page % WRITE_BURST === WRITE_BURST - 1) await cache.whenDurable(ticket);
  }
  await cache.whenDurable(cache.applied);
}

/** Every page once, in an order without neighbours; from the start again when all have been. */
function once(pages: number): () => number {
  const order = Uint32Array.from({ length: pages }, (_, page) => page);
  for (let left = pages; left > 1; left--) {
    const other = systemRandom.below(left);
    const last = order[left - 1] ?? 0;
    order[left - 1] = order[other] ?? 0;
    order[other] = last;
  }
  let at = 0;
  return () => order[at++ % pages] ?? 0;
}

function rowsOf(name: string, results: readonly Load[]): Row[] {
  const of = (pick: (one: Load) => number) => median(results.map(pick));
  const [p50, p99] = [of((one) => one.p50Ms), of((one) => one.p99Ms)];
  return [
    { row: name, value: of((one) => one.perSecond), unit: '/s', goal: GOAL_PER_SECOND },
    { row: `${name}: p50`, value: p50, unit: 'ms' },
    { row: `${name}: p99`, value: p99, unit: 'ms' },
    { row: `${name}: p99 / p50`, value: p99 / p50, unit: 'x', goal: GOAL_P99_IN_P50, atLeast: false },
    { row: `${name}: CPU a read`, value: of((one) => one.cpuUsPerOperation), unit: 'µs' },
  ];
}
