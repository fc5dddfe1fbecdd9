/**
 * What grows with a volume and what must not: the cost of a commit with the number of protection groups and with the number
 * of files, and the time that it takes to open a volume of a tebibyte.
 */
import { systemClock, systemRandom, type PageNumber } from '@rokka/kernel';
import { FileSystem, type Ino, nameFromUtf8, ROOT_INO } from '@rokka/filesystem';
import { PageCache, whenReady } from '@rokka/volume';
import * as path from 'node:path';
import { load, type Load } from './load.ts';
import { FLAT, median, type Row } from './report.ts';
import { startNodes } from './storage-nodes.ts';
import { treeCpuSeconds } from './system.ts';
import type { Plan, Topic } from './topic.ts';
import { PAGES_PER_GROUP, VolumePlace } from './volume-place.ts';

const GROUPS = 100;
const PAGES = 25_600;
const FILES = [10, 10_000];
const IN_FLIGHT = 16;
const RECORD_BYTES = 200;
const WARM_UP_SECONDS = 1;
/** 103 groups of 10 GiB. */
const TEBIBYTE_GROUPS = Math.ceil(2 ** 40 / (PAGES_PER_GROUP * 8192));
const GOAL_OPEN_MS = 2_000;
const OWNER = { uid: 0, gid: 0 };
const MAKE_BURST = 100;

export const growth: Topic = { rows: growthRows };

async function growthRows(plan: Plan): Promise<Row[]> {
  return [...(await groupRows(plan)), ...(await fileRows(plan)), ...(await openingRows(plan))];
}

type Commit = () => Promise<void>;

/**
 * One volume of a single group beside one of many, on the same nodes: as many pages in both, of which some are written at random. And one of so few
 * pages that each is written many times before it is made a page.
 */
async function groupRows(plan: Plan): Promise<Row[]> {
  await using nodes = await startNodes(path.join(plan.directory, 'groups'));
  await using stack = new AsyncDisposableStack();
  const commits = new Map<string, Commit>();
  const volumes = [
    { name: '1 protection group', groupsMax: 1, pages: PAGES },
    { name: `${GROUPS} protection groups`, groupsMax: GROUPS, pages: PAGES },
    { name: `1 protection group of ${PAGES / GROUPS} pages`, groupsMax: 1, pages: PAGES / GROUPS },
  ];
  for (const { name, groupsMax, pages } of volumes) {
    const shape = { name: `groups-${groupsMax}-${pages}`, pagesPerGroup: pages / groupsMax, groupsMax };
    const volume = stack.use(await (await VolumePlace.make(nodes, shape)).open());
    await volume.grow(pages);
    const cache = new PageCache(volume);
    commits.set(name, () => {
      const page = systemRandom.below(pages) as PageNumber;
      return cache.whenDurable(cache.apply([{ page, offset: 0, bytes: nextRecord(), init: true }]));
    });
  }
  return await compare(plan, commits);
}

/** Files written at random, each write waited for as fdatasync does. */
async function fileRows(plan: Plan): Promise<Row[]> {
  await using nodes = await startNodes(path.join(plan.directory, 'files'));
  await using stack = new AsyncDisposableStack();
  const commits = new Map<string, Commit>();
  for (const count of FILES) {
    const volume = stack.use(await (await VolumePlace.make(nodes, { name: `files-${count}` })).open());
    const cache = new PageCache(volume);
    await whenReady(cache, () => FileSystem.format(cache, { clock: systemClock, random: systemRandom }));
    const filesystem = await FileSystem.mountAsync(cache, { clock: systemClock });
    const inos = await makeFiles(filesystem, cache, count);
    commits.set(`${count} files`, async () => {
      const ino = inos[systemRandom.below(count)];
      await whenReady(cache, () => filesystem.write(ino, 0, nextRecord()));
      await cache.whenDurable(filesystem.ticketOf(ino, { dataOnly: true }));
    });
  }
  return await compare(plan, commits);
}

async function makeFiles(filesystem: FileSystem, cache: PageCache, count: number): Promise<Ino[]> {
  const inos: Ino[] = [];
  for (let at = 0; at < count; at++) {
    const name = nameFromUtf8(`file-${at}`);
    const { ino } = await whenReady(cache, () =>
      filesystem.create(ROOT_INO, name, { ...OWNER, mode: 0o644 }),
    );
    inos.push(ino);
    await whenReady(cache, () => filesystem.write(ino, 0, nextRecord()));
    if (at % MAKE_BURST === 0) await cache.whenDurable(cache.applied);
  }
  await cache.whenDurable(cache.applied);
  return inos;
}

async function compare(plan: Plan, commits: ReadonlyMap<string, Commit>): Promise<Row[]> {
  const results = new Map([...commits.keys()].map((name): [string, Load[]] => [name, []]));
  const cpuSeconds = () => treeCpuSeconds([process.pid]);
  // The first would pay for the compiler.
  for (const commit of commits.values())
    await load({ inFlight: IN_FLIGHT, seconds: WARM_UP_SECONDS }, commit);
  for (let round = 1; round <= plan.rounds; round++) {
    for (const [name, commit] of commits) {
      const measured = await load({ inFlight: IN_FLIGHT, seconds: plan.seconds, cpuSeconds }, commit);
      results.get(name)?.push(measured);
      plan.say(`round ${round}: commits, ${name}: ${measured.perSecond.toFixed(0)} /s`);
    }
  }
  const wall = (name: string) => median((results.get(name) ?? []).map((one) => 1e6 / one.perSecond));
  const cpu = (name: string) => median((results.get(name) ?? []).map((one) => one.cpuUsPerOperation));
  const [few = '', many = ''] = [...commits.keys()];
  return [
    ...[...commits.keys()].flatMap((name) => [
      { row: `a commit, ${IN_FLIGHT} in flight, ${name}`, value: wall(name), unit: 'µs' },
      { row: `a commit, ${IN_FLIGHT} in flight, ${name}: CPU`, value: cpu(name), unit: 'µs' },
    ]),
    {
      row: `a commit, ${many} / ${few}`,
      value: wall(many) / wall(few),
      unit: 'x',
      goal: FLAT,
      atLeast: false,
    },
    { row: `a commit, ${many} / ${few}: CPU`, value: cpu(many) / cpu(few), unit: 'x' },
  ];
}

/** A page in each group of 10 GiB; then it is opened again and again, to the first page read. */
async function openingRows(plan: Plan): Promise<Row[]> {
  await using nodes = await startNodes(path.join(plan.directory, 'tebibyte'));
  const place = await VolumePlace.make(nodes, { groupsMax: TEBIBYTE_GROUPS });
  await touchEveryGroup(place);
  const tookMs: number[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    tookMs.push(await timeOpening(place));
    plan.say(`round ${round}: opening 1 TiB: ${tookMs.at(-1)?.toFixed(0)} ms`);
  }
  const row = 'opening a sparse volume of 1 TiB, to the first page';
  return [{ row, value: median(tookMs), unit: 'ms', goal: GOAL_OPEN_MS, atLeast: false }];
}

async function touchEveryGroup(place: VolumePlace): Promise<void> {
  await using volume = await place.open();
  await volume.grow(TEBIBYTE_GROUPS * PAGES_PER_GROUP);
  const cache = new PageCache(volume);
  for (let group = 0; group < TEBIBYTE_GROUPS; group++) {
    const page = (group * PAGES_PER_GROUP) as PageNumber;
    await cache.whenDurable(cache.apply([{ page, offset: 0, bytes: nextRecord(), init: true }]));
  }
}

async function timeOpening(place: VolumePlace): Promise<number> {
  const startMs = performance.now();
  await using volume = await place.open();
  const last = ((TEBIBYTE_GROUPS - 1) * PAGES_PER_GROUP) as PageNumber;
  if (!(await volume.read(last))) throw new Error(`page ${last} is empty`);
  return performance.now() - startMs;
}

let counter = 0;
const record = Buffer.alloc(RECORD_BYTES);

/** Other bytes each time: what does not change is not shipped. */
function nextRecord(): Buffer {
  record.fill(`${counter++} `);
  return record;
}
