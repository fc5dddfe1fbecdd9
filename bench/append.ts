/**
 * Raw append to a volume: 200-byte records, each its own mini-transaction, waited for until four of six copies are on disk;
 * on six node processes, beside the disk's own sync and beside puts of as many bytes to an etcd of three members.
 *
 * The client of both is this process: its CPU counts on both sides.
 */
import * as path from 'node:path';
import type { PageNumber } from '@rokka/kernel';
import { PageCache } from '@rokka/volume';
import { syncs } from './disk.ts';
import { Etcd } from './etcd.ts';
import { EtcdPuts } from './etcd-puts.ts';
import { load, type Load } from './load.ts';
import { median, type Row } from './report.ts';
import { startNodes } from './storage-nodes.ts';
import { treeCpuSeconds } from './system.ts';
import { type Plan, type Topic, whyMissing } from './topic.ts';
import { VolumePlace } from './volume-place.ts';

const RECORD_BYTES = 200;
const KEYS = 1000;
const IN_FLIGHT = [1, 64, 512];
/** etcd gets both the goals speak of. */
const ETCD_IN_FLIGHT = [1, 64];
const ETCD_CONNECTIONS = 4;
const SECONDS_MAX = 3;
const WARM_UP_IN_FLIGHT = 16;
const WARM_UP_SECONDS = 1;
const GOAL_TO_ETCD: Record<number, number> = { 1: 1.5, 64: 15 };
const GOAL_P50_IN_SYNCS = 5;

export const append: Topic = { rows: appendRows };

async function appendRows(plan: Plan): Promise<Row[]> {
  await using nodes = await startNodes(path.join(plan.directory, 'rokka'));
  await using volume = await (await VolumePlace.make(nodes)).open();
  const missing = whyMissing('etcd');
  await using etcd = missing === undefined ? await Etcd.start(path.join(plan.directory, 'etcd')) : undefined;
  using puts = etcd && new EtcdPuts({ endpoint: etcd.leader, connections: ETCD_CONNECTIONS });
  const cache = new PageCache(volume);
  const seconds = Math.min(plan.seconds, SECONDS_MAX);
  const disk: { perSecond: number; p50Ms: number }[] = [];
  const ours = new Map(IN_FLIGHT.map((inFlight): [number, Load[]] => [inFlight, []]));
  const theirs = new Map(ETCD_IN_FLIGHT.map((inFlight): [number, Load[]] => [inFlight, []]));
  // Of this process and its children, of which etcd's members are idle while we append, and our nodes while they put.
  const cpuSeconds = () => treeCpuSeconds([process.pid]);
  // The first point would pay for the compiler.
  await load({ inFlight: WARM_UP_IN_FLIGHT, seconds: WARM_UP_SECONDS }, () => appendOne(cache));
  if (puts) await load({ inFlight: WARM_UP_IN_FLIGHT, seconds: WARM_UP_SECONDS }, () => putOne(puts));
  for (let round = 1; round <= plan.rounds; round++) {
    disk.push(syncs(path.join(plan.directory, 'sync-probe'), seconds));
    for (const [inFlight, results] of ours) {
      results.push(await load({ inFlight, seconds, cpuSeconds }, () => appendOne(cache)));
      plan.say(`round ${round}: append, ${inFlight} in flight: ${results.at(-1)?.perSecond.toFixed(0)} /s`);
      const other = theirs.get(inFlight);
      if (!puts || !other) continue;
      other.push(await load({ inFlight, seconds, cpuSeconds }, () => putOne(puts)));
      plan.say(`round ${round}: etcd, ${inFlight} in flight: ${other.at(-1)?.perSecond.toFixed(0)} /s`);
    }
  }
  const sync = { rate: median(disk.map((one) => one.perSecond)), ms: median(disk.map((one) => one.p50Ms)) };
  return [
    { row: 'disk: 4 KiB overwrite and fdatasync', value: sync.rate, unit: '/s' },
    { row: 'disk: 4 KiB overwrite and fdatasync, p50', value: sync.ms, unit: 'ms' },
    ...[...ours].flatMap(([inFlight, results]) => [
      ...rowsOf(`append ${RECORD_BYTES} B, ${inFlight} in flight`, results, sync, inFlight === 1),
      ...besideEtcd({ inFlight, ours: results, theirs: theirs.get(inFlight), missing }),
    ]),
  ];
}

let counter = 0;
const record = Buffer.alloc(RECORD_BYTES);

async function appendOne(cache: PageCache): Promise<void> {
  // Other bytes each time: what does not change is not shipped.
  record.fill(`${counter++} `);
  const page = (counter % KEYS) as PageNumber;
  await cache.whenDurable(cache.apply([{ page, offset: 0, bytes: record, init: true }]));
}

async function putOne(puts: EtcdPuts): Promise<void> {
  record.fill(`${counter++} `);
  await puts.put(Buffer.from(`bench/${counter % KEYS}`), record);
}

function rowsOf(name: string, results: Load[], sync: { rate: number; ms: number }, alone: boolean): Row[] {
  const rate = median(results.map((one) => one.perSecond));
  const p50 = median(results.map((one) => one.p50Ms));
  const judged = alone ? { goal: GOAL_P50_IN_SYNCS, atLeast: false } : {};
  return [
    { row: name, value: rate, unit: '/s' },
    { row: `${name}: p50`, value: p50, unit: 'ms' },
    { row: `${name}: CPU a record`, value: median(results.map((one) => one.cpuUsPerOperation)), unit: 'µs' },
    { row: `${name} / disk sync rate`, value: rate / sync.rate, unit: 'x' },
    ...(alone ? [{ row: `${name}: p50 / disk sync`, value: p50 / sync.ms, unit: 'x', ...judged }] : []),
  ];
}

function besideEtcd(of: {
  inFlight: number;
  ours: Load[];
  theirs: Load[] | undefined;
  missing: string | undefined;
}): Row[] {
  const { inFlight, ours, theirs, missing } = of;
  if (!theirs) return [];
  const name = `etcd, 3 members, puts of ${RECORD_BYTES} B, ${inFlight} in flight`;
  const ratio = `append / etcd, ${inFlight} in flight`;
  if (missing !== undefined) return [name, ratio].map((row) => ({ row, skipped: missing }));
  const rate = (results: Load[]) => median(results.map((one) => one.perSecond));
  return [
    { row: name, value: rate(theirs), unit: '/s' },
    { row: `${name}: p50`, value: median(theirs.map((one) => one.p50Ms)), unit: 'ms' },
    { row: `${name}: CPU a put`, value: median(theirs.map((one) => one.cpuUsPerOperation)), unit: 'µs' },
    { row: ratio, value: rate(ours) / rate(theirs), unit: 'x', goal: GOAL_TO_ETCD[inFlight] ?? Number.NaN },
  ];
}
