import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  asPageNumber,
  CodedError,
  deadline,
  isCoded,
  PAGE_SIZE,
  type PageNumber,
  SeededRandom,
} from '@rokka/kernel';
import { Inheritance } from './inheritance.ts';
import type { Ticket } from './page-store.ts';
import { SharedPageHost } from './shared-page-host.ts';
import { MovingSink } from './testing/moving-sink.ts';
import type { WorkerTask } from './testing/shared-store-worker.ts';

const WORKER = new URL('testing/shared-store-worker.ts', import.meta.url);
const page = (n: number) => asPageNumber(n);

/** Pages that were never written are the base's. */
class CloneSink extends MovingSink {
  readonly #inheritance = new Inheritance(
    { readMany: (pages) => pages.map(async () => new Uint8Array(PAGE_SIZE).fill(99)) },
    { pages: 32, isFirstLife: false },
  );

  override append(mtr: Uint8Array, recordCount: number): Ticket {
    this.#inheritance.appended(mtr);
    return super.append(mtr, recordCount);
  }

  override readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[] {
    return super.readMany(pages).map((own, at) => this.#inheritance.fill(pages[at], own));
  }

  inherits(of: PageNumber): boolean {
    return this.#inheritance.has(of);
  }
}

/** A worker at its task. `said` is its next message; an error in it is an error here. */
function start(host: SharedPageHost, task: Omit<WorkerTask, 'memory'>) {
  const worker = new Worker(WORKER, { workerData: { ...task, memory: host.memory } });
  const said = async <T>() => {
    const [message] = (await deadline(once(worker, 'message'), { what: task.task, ms: 30_000 })) as [T];
    return message;
  };
  const goOn = () => worker.postMessage('go on', []);
  return { said, goOn, [Symbol.asyncDispose]: async () => void (await worker.terminate()) };
}

test('a worker reads what it wrote, and the sink has it all', async () => {
  for (const [seed, cachePages] of [
    [1, 8],
    [2, 20],
    [3, 100],
  ]) {
    const sink = new MovingSink(new SeededRandom(seed), { mappedPages: 32, outstandingMax: 40 });
    await using host = await SharedPageHost.open(sink);
    await using worker = start(host, { task: 'random', cachePages, seed, count: 700 });
    const { applied, pages } = await worker.said<{ applied: Ticket; pages: Uint8Array[] }>();
    assert.equal(host.ticketNow(), applied);
    assert.ok(host.durable === applied && sink.durable === applied && sink.applied === applied);
    assert.ok(sink.mappedPages >= 64);
    for (const [n, content] of pages.entries())
      assert.deepEqual(sink.pages.get(page(n)) ?? new Uint8Array(PAGE_SIZE), content, `page ${n}`);
  }
});

test('what only the base of a clone has is written whole before the worker changes it', async () => {
  const sink = new CloneSink(new SeededRandom(8), { mappedPages: 32 });
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'clone', cachePages: 20, count: 6 });
  await worker.said();
  for (let n = 0; n < 6; n++) {
    const expected = new Uint8Array(PAGE_SIZE).fill(99);
    expected[100] = n + 1;
    assert.deepEqual(sink.pages.get(page(n)), expected, `page ${n}`);
  }
});

test('100,000 small mini-transactions arrive, more than once around the ring', async () => {
  const sink = new MovingSink(new SeededRandom(4), { outstandingMax: 5000, stepMax: 4000 });
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'small', cachePages: 16, count: 100_000 });
  await worker.said();
  const ticket = host.ticketNow();
  assert.equal(ticket, 100_000);
  await deadline(host.whenDurable(ticket), { what: 'durability', ms: 30_000 });
  assert.equal(sink.mtrs.length, 100_000);
  assert.ok(sink.mtrs.reduce((sum, mtr) => sum + 8 + mtr.length, 0) > host.memory.ring.byteLength);
  assert.equal(new DataView(sink.pages.get(page(1))!.buffer).getUint32(100, true), 99_999);
});

test('a full ring stops the worker until the sink takes more', async () => {
  const sink = new MovingSink(new SeededRandom(5), { outstandingMax: 100, stepMax: 50, mappedPages: 4096 });
  sink.held = true;
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'bulk', cachePages: 4096, count: 2500 });
  const fit = 100 + Math.floor(host.memory.ring.byteLength / (8 + 56 + 4 + 4 + PAGE_SIZE));
  const done = worker.said<{ applied: number }>();
  while (host.ticketNow() < fit) await new Promise((resolve) => setImmediate(resolve));
  for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(host.ticketNow() <= fit + 1, `${host.ticketNow()} mini-transactions where ${fit} fit`);
  assert.equal(host.durable, 0);
  sink.held = false;
  assert.equal((await done).applied, 2500);
  await deadline(host.whenDurable(2500 as Ticket), { what: 'durability', ms: 30_000 });
  for (let n = 0; n < 2500; n++) assert.equal(sink.pages.get(page(n))?.[PAGE_SIZE - 1], (n % 255) + 1);
});

test('tickets of the host are kept until the sink is durable', async () => {
  const sink = new MovingSink(new SeededRandom(6));
  sink.held = true;
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'small', cachePages: 16, count: 10 });
  await worker.said();
  const ticket = host.ticketNow();
  let told = false;
  const wait = host.whenDurable(ticket).then(() => (told = true));
  while (sink.applied < 10) await new Promise((resolve) => setImmediate(resolve));
  sink.advance(9);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(told, false);
  sink.advance(1);
  await wait;
  assert.equal(host.durable, 10);
});

const MINUTE_MS = 60_000;

/** A host that gathers for so long, and `arrived`: so much has reached the sink. */
async function gathering(gatherMs: number, options: { outstandingMax?: number } = {}) {
  const sink = new MovingSink(new SeededRandom(9), { mappedPages: 4096, outstandingMax: 5000, ...options });
  const host = await SharedPageHost.open(sink, { gatherMs });
  host.gathers = true;
  const arrived = async (count: number) => {
    const untilMs = performance.now() + MINUTE_MS / 2;
    while (sink.mtrs.length < count) {
      assert.ok(performance.now() < untilMs, `${sink.mtrs.length} of ${count} have come`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  return { sink, host, arrived };
}

const turns = async () => {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
};

test('what is gathered leaves when nobody keeps the engine busy any more', async () => {
  const { sink, host, arrived } = await gathering(MINUTE_MS);
  await using _ = host;
  await using worker = start(host, { task: 'small', cachePages: 16, count: 10 });
  await worker.said();
  await turns();
  assert.deepEqual([host.ticketNow(), sink.mtrs.length], [10, 0]);
  host.gathers = false;
  await arrived(10);
});

test('what is gathered leaves where somebody is in a hurry, and after that others are gathered', async () => {
  const { sink, host, arrived } = await gathering(MINUTE_MS);
  await using _ = host;
  // Nothing has been gathered: this is not for what comes.
  host.hurry();
  await using worker = start(host, { task: 'twice', cachePages: 16, count: 10 });
  await worker.said();
  await turns();
  assert.equal(sink.mtrs.length, 0);
  host.hurry();
  await arrived(10);
  worker.goOn();
  await worker.said();
  await turns();
  assert.deepEqual([host.ticketNow(), sink.mtrs.length], [20, 10]);
});

test('what is gathered leaves after a moment, by itself', async () => {
  const { sink, host, arrived } = await gathering(1000);
  await using _ = host;
  await using worker = start(host, { task: 'small', cachePages: 16, count: 10 });
  await worker.said();
  await turns();
  assert.equal(sink.mtrs.length, 0);
  await arrived(10);
});

test('what comes after the worker has waited for a page is gathered', async () => {
  const { sink, host } = await gathering(MINUTE_MS);
  await using _ = host;
  sink.pages.set(page(7), new Uint8Array(PAGE_SIZE).fill(7));
  await using worker = start(host, { task: 'readFirst', cachePages: 64, count: 10 });
  assert.deepEqual(await worker.said(), { first: 7 });
  await turns();
  assert.deepEqual([host.ticketNow(), sink.mtrs.length], [10, 0]);
});

test('nothing is gathered while the worker waits: for durability, or for a page', async () => {
  const { host, sink } = await gathering(MINUTE_MS);
  await using _ = host;
  await using worker = start(host, { task: 'random', cachePages: 8, seed: 9, count: 300 });
  const { applied } = await worker.said<{ applied: Ticket }>();
  assert.equal(sink.durable, applied);
});

test('much is not gathered: more than a quarter of a mebibyte leaves at once', async () => {
  const { host, arrived } = await gathering(MINUTE_MS);
  await using _ = host;
  await using worker = start(host, { task: 'bulk', cachePages: 64, count: 40 });
  await worker.said();
  await arrived(32);
});

test('a sink without room has what it waited for as soon as it has some, also while there is gathering', async () => {
  const { host, sink, arrived } = await gathering(MINUTE_MS, { outstandingMax: 4 });
  await using _ = host;
  await using worker = start(host, { task: 'bulk', cachePages: 64, count: 48 });
  await worker.said();
  // The hurry is for the first 32 of them; they come four by four.
  await arrived(32);
  assert.ok(sink.applied >= 32);
});

test('what is gathered goes with the host that is given up, and nothing of it comes later', async () => {
  const { host, sink } = await gathering(MINUTE_MS);
  await using worker = start(host, { task: 'small', cachePages: 16, count: 10 });
  await worker.said();
  const durable = host.whenDurable(host.ticketNow());
  await host[Symbol.asyncDispose]();
  await assert.rejects(durable, (error) => isCoded(error, 'VOLUME_CLOSED'));
  await turns();
  assert.equal(sink.mtrs.length, 0);
});

function sinkOfNumberedPages(seed: number): MovingSink {
  const sink = new MovingSink(new SeededRandom(seed));
  for (let n = 0; n < 300; n++) sink.pages.set(page(n), new Uint8Array(PAGE_SIZE).fill(n % 251));
  return sink;
}

test('a scan reads ahead, and no page twice', async () => {
  const sink = sinkOfNumberedPages(7);
  let reads = 0;
  let atOnce = 0;
  const read = sink.read.bind(sink);
  sink.read = (which) => {
    reads++;
    atOnce = Math.max(atOnce, sink.reads.length + 1);
    return read(which);
  };
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'scan', cachePages: 64, count: 300 });
  const { firsts } = await worker.said<{ firsts: number[] }>();
  assert.deepEqual(
    firsts,
    Array.from({ length: 300 }, (_, n) => n % 251),
  );
  assert.ok(reads >= 300 && reads < 320, `${reads} reads`);
  assert.ok(atOnce >= 8, `${atOnce} reads at once`);
});

test('while little is in memory a miss brings what lies around it, and a neighbour that cannot be read keeps nobody from a page', async () => {
  const sink = sinkOfNumberedPages(12);
  const asked: PageNumber[][] = [];
  const readMany = sink.readMany.bind(sink);
  sink.readMany = (pages) => {
    asked.push([...pages]);
    if (pages.length > 1 && pages.includes(page(37)))
      return pages.map(() => Promise.reject(new CodedError('VOLUME_UNREADABLE', 'page 37')));
    return readMany(pages);
  };
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'backwards', cachePages: 1024, count: 64 });
  const { firsts } = await worker.said<{ firsts: number[] }>();
  assert.deepEqual(
    firsts,
    Array.from({ length: 64 }, (_, n) => 63 - n),
  );
  const around = (from: number) => Array.from({ length: 16 }, (_, n) => page(from + n));
  assert.deepEqual(
    asked.filter((pages) => pages.length === 16).map((pages) => pages.toSorted((a, b) => a - b)),
    [around(48), around(32), around(16), around(0)],
  );
  // Around the one that cannot be read beside others each costs a round of its own.
  assert.ok(asked.length < 40, `${asked.length} rounds`);
});

test('views of several pages stay whole: rather than take one away, the worker waits for durability', async () => {
  const sink = sinkOfNumberedPages(11);
  sink.held = true;
  const seen = { reads: 0 };
  const read = sink.read.bind(sink);
  sink.read = (which) => {
    seen.reads++;
    return read(which);
  };
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'views', cachePages: 32, count: 24 });
  const said = worker.said<{ firsts: number[] }>();
  while (seen.reads < 9) await new Promise((resolve) => setImmediate(resolve));
  sink.held = false;
  assert.deepEqual(
    (await said).firsts,
    Array.from({ length: 16 }, (_, n) => n * 7),
  );
});

test('when another writer takes over, every call of the worker ends with its code', async () => {
  const sink = new MovingSink(new SeededRandom(8));
  sink.held = true;
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'ending', cachePages: 16 });
  await worker.said();
  while (sink.applied < 1) await new Promise((resolve) => setImmediate(resolve));
  const said = worker.said();
  sink.fail(new CodedError('VOLUME_FENCED', 'taken over\nby another'));
  const codes = ['VOLUME_FENCED', 'VOLUME_FENCED', 'VOLUME_FENCED'];
  assert.deepEqual(await said, { codes, failure: 'VOLUME_FENCED', message: 'taken over\nby another' });
  assert.equal((await host.ended).code, 'VOLUME_FENCED');
  await assert.rejects(host.whenDurable(1 as Ticket), (error) => isCoded(error, 'VOLUME_FENCED'));
});

test('a page that cannot be read ends one call, not the store', async () => {
  const sink = new MovingSink(new SeededRandom(9));
  const read = sink.read.bind(sink);
  sink.read = async (which) => {
    if (which === page(7)) throw new CodedError('VOLUME_UNREADABLE', 'page 7');
    return read(which);
  };
  await using host = await SharedPageHost.open(sink);
  await using worker = start(host, { task: 'unreadable', cachePages: 16 });
  assert.deepEqual(await worker.said(), { codes: ['VOLUME_UNREADABLE', undefined] });
  assert.equal(host.failure, undefined);
});

test('after a kill the next life waits for what was moved, and nothing of the old one follows', async () => {
  const sink = new MovingSink(new SeededRandom(10), { outstandingMax: 3 });
  sink.held = true;
  {
    await using host = await SharedPageHost.open(sink);
    await using worker = start(host, { task: 'small', cachePages: 16, count: 10 });
    await worker.said();
    while (sink.applied < 3) await new Promise((resolve) => setImmediate(resolve));
  }
  let opened = false;
  const next = SharedPageHost.open(sink).then((host) => ((opened = true), host));
  sink.advance(2);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(opened, false);
  sink.advance(1);
  await using host = await next;
  await using worker = start(host, { task: 'park', cachePages: 16 });
  assert.equal(await worker.said(), 'started');
  assert.ok(sink.applied === 3 && host.ticketNow() === 0);
});
