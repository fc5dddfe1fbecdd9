import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { asPageNumber, CodedError, isCoded, PAGE_SIZE, SeededRandom, type PageNumber } from '@rokka/kernel';
import { MemoryPageStore } from './memory-page-store.ts';
import { PageCache } from './page-cache.ts';
import { NotReady, type PageWrite, type Ticket } from './page-store.ts';
import { FakeSink, replayMtr, recordsOf, type Pages } from './testing/fake-sink.ts';

const PAGES = 24;
const page = (n: number) => asPageNumber(n);
const bytes = (...values: number[]) => Uint8Array.from(values);

async function turn(): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve();
}

/** Runs an operation as a driver does, the sink moving at random while it waits. */
async function run<T>(
  operation: () => T,
  on: { cache: PageCache; sink: FakeSink; random: SeededRandom },
): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      return operation();
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      const wait = { over: false };
      const prepared = on.cache.prepare(error).finally(() => (wait.over = true));
      for (let steps = 0; !wait.over; steps++) {
        assert.ok(steps < 1000, 'prepare never ends');
        step(on);
        await turn();
      }
      await prepared;
    }
  }
  throw new Error('the operation never becomes ready');
}

test('pages read ahead are fetched, and not waited for', async () => {
  const sink = new FakeSink();
  const cache = new PageCache(sink, { sizeBytes: 16 * PAGE_SIZE });
  const prepared = cache.prepare(new NotReady({ pages: [page(1)], ahead: [page(2), page(3)] }));
  await turn();
  assert.deepEqual(
    sink.reads.map((read) => read.page),
    [page(1), page(2), page(3)],
  );
  sink.land(0);
  await prepared;
  assert.ok(cache.has(page(1)) && !cache.has(page(2)));
  sink.land(0);
  await turn();
  assert.ok(cache.has(page(2)));
});

test('while a cache of some size fills, what lies around a page comes with it', async () => {
  const sink = new FakeSink({ mappedPages: 2_000 });
  const cache = new PageCache(sink, { sizeBytes: 2_048 * PAGE_SIZE });
  const bring = async (wanted: PageNumber): Promise<number[]> => {
    const prepared = cache.prepare(new NotReady({ pages: [wanted] }));
    await turn();
    const asked = sink.reads.map((read) => Number(read.page));
    for (; sink.reads.length > 0; await turn()) sink.land(0);
    await prepared;
    return asked;
  };
  assert.deepEqual((await bring(page(70))).slice(0, 4), [70, 64, 65, 66]);
  assert.ok(cache.has(page(95)) && !cache.has(page(63)) && !cache.has(page(96)));
  assert.deepEqual(await bring(page(80)), []);
  assert.equal((await bring(page(1_995))).length, 16, 'no further than the volume goes');
  for (let at = 96; cache.usage.heldBytes < cache.usage.sizeBytes / 2; at += 32) await bring(page(at));
  assert.deepEqual(await bring(page(1_900)), [1_900]);
});

test('a page that cannot be read ahead is an error only for who wants it', async () => {
  const sink = new FakeSink();
  const cache = new PageCache(sink, { sizeBytes: 16 * PAGE_SIZE });
  await cache.prepare(new NotReady({ ahead: [page(2)] }));
  const wanted = cache.prepare(new NotReady({ pages: [page(2)] }));
  const error = new CodedError('VOLUME_UNREADABLE', 'not now');
  sink.reads[0]?.answer.reject(error);
  await assert.rejects(wanted, error);
  const again = cache.prepare(new NotReady({ pages: [page(2)] }));
  await turn();
  sink.land(1);
  await again;
  assert.ok(cache.has(page(2)));
});

function step({ sink, random }: { sink: FakeSink; random: SeededRandom }): void {
  if (random.chance(0.25)) sink.advance(1 + random.below(2));
  if (sink.reads.length > 0 && random.chance(0.4)) sink.land(random.below(sink.reads.length));
}

function randomWrite(random: SeededRandom): PageWrite {
  const offset = random.pick([0, 1, 8, 4090, 8191, random.below(PAGE_SIZE)]);
  const length = random.pick([0, 1, 7, 300, PAGE_SIZE]);
  const filled = new Uint8Array(Math.min(length, PAGE_SIZE - offset)).fill(random.below(3));
  return { page: page(random.below(PAGES)), offset, bytes: filled, init: random.chance(0.4) };
}

function assertSameMtr(mtr: Uint8Array, writes: readonly PageWrite[]): void {
  const order = [...new Set(writes.map((write) => write.page))];
  const pages = [...recordsOf(mtr)].map((record) =>
    Number(new DataView(record.slice().buffer).getBigUint64(40, true)),
  );
  assert.deepEqual(
    pages,
    order.filter((each) => pages.includes(each)),
    'records in the order of first touch',
  );
}

/** Every prefix of the sink's mini-transactions gives the pages of the same prefix of writes. */
function assertPrefixesAgree(sink: FakeSink, history: PageWrite[][], ticketAfter: number[]): void {
  const twin = new MemoryPageStore({ pagesPerGroup: PAGES });
  const pages: Pages = new Map();
  let ticket = 0;
  for (const [index, writes] of history.entries()) {
    twin.apply(writes);
    if (ticketAfter[index] > ticket) {
      assertSameMtr(sink.mtrs[ticket], writes);
      replayMtr(sink.mtrs[ticket++], pages);
    }
    assert.equal(ticket, ticketAfter[index], 'at most one mini-transaction a call');
    for (const write of writes)
      assert.deepEqual(pages.get(write.page) ?? new Uint8Array(PAGE_SIZE), twin.page(write.page));
  }
  assert.equal(ticket, sink.mtrs.length);
}

async function compareWithTwin(seed: number, frames: number, outstandingMax: number): Promise<void> {
  const random = new SeededRandom(seed);
  const sink = new FakeSink({ mappedPages: PAGES / 2, outstandingMax });
  const cache = new PageCache(sink, { sizeBytes: frames * PAGE_SIZE });
  const twin = new MemoryPageStore({ pagesPerGroup: PAGES });
  const on = { cache, sink, random };
  const ticketAfter: number[] = [];
  for (let operation = 0; operation < 100; operation++) {
    if (random.chance(0.3)) void cache.prepare(new NotReady({ pages: [page(random.below(PAGES))] }));
    if (random.chance(0.3)) step(on);
    if (random.chance(0.5)) {
      const which = page(random.below(PAGES));
      assert.deepEqual(await run(() => cache.page(which).slice(), on), twin.page(which));
      continue;
    }
    const writes = Array.from({ length: 1 + random.below(4) }, () => randomWrite(random));
    const before = sink.applied;
    const ticket = await run(() => cache.apply(writes), on);
    assert.ok(ticket === cache.applied && ticket >= before && ticket <= before + 1);
    twin.apply(writes);
    ticketAfter.push(ticket);
  }
  for (let each = 0; each < PAGES; each++)
    assert.deepEqual(
      await run(() => cache.page(page(each)).slice(), on),
      twin.page(page(each)),
      `page ${each}`,
    );
  assertPrefixesAgree(sink, twin.history, ticketAfter);
}

test('a tiny cache holds what a store in memory holds, and so does every prefix of its log', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.integer({ min: 4, max: 12 }),
      fc.integer({ min: 1, max: 20 }),
      compareWithTwin,
    ),
    { numRuns: 120 },
  );
});

function small(options: { frames?: number; mappedPages?: number; outstandingMax?: number } = {}) {
  const sink = new FakeSink(options);
  const cache = new PageCache(sink, { sizeBytes: (options.frames ?? 4) * PAGE_SIZE });
  return { sink, cache };
}

function lacking(operation: () => unknown): NotReady {
  try {
    operation();
  } catch (error) {
    if (error instanceof NotReady) return error;
    throw error;
  }
  return assert.fail('it was ready');
}

test('NotReady names everything that lacks and changes nothing', () => {
  const { sink, cache } = small({ mappedPages: 10 });
  const error = lacking(() =>
    cache.apply([
      { page: page(0), offset: 0, bytes: bytes(1), init: true },
      { page: page(3), offset: 0, bytes: bytes(1) },
      { page: page(12), offset: 0, bytes: bytes(1) },
      { page: page(11), offset: 0, bytes: bytes(1), init: true },
    ]),
  );
  assert.deepEqual(error.pages, [3]);
  assert.equal(error.mapPages, 13);
  assert.equal(cache.has(page(0)), false);
  assert.equal(sink.mtrs.length, 0);
});

test('writes that change nothing make no record', () => {
  const { sink, cache } = small();
  const first = cache.apply([{ page: page(0), offset: 5, bytes: bytes(1, 2), init: true }]);
  assert.equal(cache.apply([{ page: page(0), offset: 6, bytes: bytes(2) }]), first);
  assert.equal(cache.apply([{ page: page(0), offset: 5, bytes: bytes(1, 2), init: true }]), first);
  assert.equal(cache.apply([]), first);
  assert.equal(sink.mtrs.length, 1);
});

test('an INIT of zeroes is a record where the page is not in memory', () => {
  const { sink, cache } = small();
  cache.apply([{ page: page(0), offset: 0, bytes: bytes(), init: true }]);
  assert.equal(sink.mtrs.length, 1);
  sink.pages.set(page(0), new Uint8Array(PAGE_SIZE).fill(7));
  sink.advance(1);
  assert.deepEqual(sink.pages.get(page(0)), new Uint8Array(PAGE_SIZE));
});

test('pages that are not durable stay; room comes with durability', async () => {
  const { sink, cache } = small({ frames: 4 });
  for (let n = 0; n < 4; n++) cache.apply([{ page: page(n), offset: 0, bytes: bytes(n + 1), init: true }]);
  const fifth = () => cache.apply([{ page: page(4), offset: 0, bytes: bytes(9), init: true }]);
  const error = lacking(fifth);
  assert.equal(error.room, true);
  for (let n = 0; n < 4; n++) assert.equal(cache.page(page(n))[0], n + 1);
  const prepared = cache.prepare(error);
  sink.advance(4);
  await prepared;
  fifth();
  assert.equal(cache.page(page(4))[0], 9);
});

test('back-pressure of the sink leaves the pages as they were', async () => {
  const { sink, cache } = small({ outstandingMax: 1 });
  cache.apply([{ page: page(0), offset: 0, bytes: bytes(1), init: true }]);
  const second = () => cache.apply([{ page: page(0), offset: 0, bytes: bytes(2) }]);
  const error = lacking(second);
  assert.equal(error.room, true);
  assert.equal(cache.page(page(0))[0], 1);
  const prepared = cache.prepare(error);
  sink.advance(1);
  await prepared;
  second();
  assert.equal(cache.page(page(0))[0], 2);
});

test('a fetch that an INIT write overtook brings nothing back, not even after the page has left again', async () => {
  const { sink, cache } = small({ frames: 4 });
  sink.pages.set(page(0), new Uint8Array(PAGE_SIZE).fill(7));
  const stale = cache.prepare(lacking(() => cache.page(page(0))));
  await turn();
  cache.apply([{ page: page(0), offset: 0, bytes: bytes(1), init: true }]);
  sink.advance(1);
  for (let n = 1; n < 5; n++) {
    cache.apply([{ page: page(n), offset: 0, bytes: bytes(1), init: true }]);
    sink.advance(1);
  }
  assert.equal(cache.has(page(0)), false);
  sink.land(0);
  await stale;
  assert.equal(cache.has(page(0)), false);
});

test('a page is fetched once for all who wait, 32 in a request and eight requests at a time', async () => {
  const { sink, cache } = small({ frames: 400 });
  const requests: number[] = [];
  const readMany = sink.readMany.bind(sink);
  sink.readMany = (pages) => {
    requests.push(pages.length);
    return readMany(pages);
  };
  const wanted = new NotReady({ pages: Array.from({ length: 300 }, (_, n) => page(n)) });
  const both = Promise.all([cache.prepare(wanted), cache.prepare(wanted)]);
  await turn();
  assert.deepEqual(requests, Array(8).fill(32));
  assert.equal(sink.reads.length, 256);
  let answered = 0;
  for (; sink.reads.length > 0; answered++) {
    sink.land(0);
    await turn();
  }
  await both;
  assert.equal(answered, 300);
  assert.equal(cache.usage.fetches, 300);
  assert.deepEqual(requests.slice(8), [32, 12]);
});

test('what is prefetched comes behind what is waited for, without its neighbours, and fails for nobody', async () => {
  const sink = new FakeSink({ mappedPages: 2_000 });
  const cache = new PageCache(sink, { sizeBytes: 2_048 * PAGE_SIZE });
  const read = () => sink.reads.map(({ page: asked }) => Number(asked));
  const fetched = cache.prefetch(Array.from({ length: 200 }, (_, n) => page(n * 7)));
  await turn();
  assert.equal(sink.reads.length, 128, 'four requests');
  const wanted = cache.prepare(new NotReady({ pages: [page(1_999)] }));
  await turn();
  assert.equal(read().at(-1), 1_999, 'and nothing around it');
  for (let landed = 0; landed < 32; landed++) sink.land(0);
  await turn();
  sink.reads.shift()?.answer.reject(new CodedError('VOLUME_UNREADABLE', 'not now'));
  for (; sink.reads.length > 0; await turn()) sink.land(0);
  await Promise.all([fetched, wanted]);
  assert.ok(cache.has(page(7 * 199)) && !cache.has(page(7 * 32)) && !cache.has(page(1)));
  await cache.prefetch([page(7), page(14)]);
});

test('what somebody waits for goes before what was only guessed', async () => {
  const { sink, cache } = small({ frames: 1_300 });
  const asked = (from: number, count: number) => Array.from({ length: count }, (_, n) => page(from + n));
  await cache.prepare(new NotReady({ ahead: asked(0, 300) }));
  const wanted = cache.prepare(new NotReady({ pages: [page(290), page(400)] }));
  await turn();
  assert.deepEqual(
    sink.reads.slice(128).map((read) => read.page),
    [page(290), page(400)],
    'before the rest of the guesses, and the one that was among them only once',
  );
  for (; sink.reads.length > 0; await turn()) sink.land(0);
  await wanted;
  assert.equal(cache.usage.fetches, 301);
});

test('what will be needed is fetched at once, for nobody, and takes no more than a quarter of the frames', async () => {
  const { sink, cache } = small({ frames: 100 });
  cache.willNeed(Array.from({ length: 80 }, (_, n) => page(n)));
  assert.equal(sink.reads.length, 25);
  const wanted = cache.prepare(new NotReady({ pages: [page(70)], ahead: [page(71)] }));
  await turn();
  assert.deepEqual(
    sink.reads.slice(25).map((read) => read.page),
    [page(70)],
    'what somebody waits for has its place all the same',
  );
  for (; sink.reads.length > 0; await turn()) sink.land(0);
  await wanted;
  assert.ok(cache.has(page(24)) && !cache.has(page(25)) && cache.has(page(70)));
});

test('a scan does not push out the pages in use', async () => {
  const { sink, cache } = small({ frames: 32 });
  const read = async (n: number) => {
    const prepared = cache.has(page(n)) ? undefined : cache.prepare(lacking(() => cache.page(page(n))));
    await turn();
    if (sink.reads.length > 0) sink.land(0);
    await prepared;
    cache.page(page(n));
  };
  const hot = [0, 1, 2, 3, 4, 5, 6, 7];
  for (let times = 0; times < 3; times++) for (const n of hot) await read(n);
  for (let n = 100; n < 400; n++) {
    await read(n);
    if (n % 16 === 0) for (const each of hot) if (cache.has(page(each))) cache.page(page(each));
  }
  assert.deepEqual(
    hot.filter((n) => cache.has(page(n))),
    hot,
  );
});

test('bytes may be a view of another page', () => {
  const { cache } = small({ frames: 4 });
  cache.apply([{ page: page(0), offset: 0, bytes: bytes(1, 2, 3), init: true }]);
  cache.apply([
    { page: page(1), offset: 0, bytes: cache.page(page(0)), init: true },
    { page: page(0), offset: 1, bytes: cache.page(page(0)).subarray(0, 3) },
  ]);
  assert.deepEqual([...cache.page(page(1)).subarray(0, 4)], [1, 2, 3, 0]);
  assert.deepEqual([...cache.page(page(0)).subarray(0, 5)], [1, 1, 2, 3, 0]);
});

test('pages beyond the mapped are zeroes', () => {
  const { cache } = small({ mappedPages: 2 });
  assert.ok(cache.has(page(2)) && !cache.has(page(1)));
  assert.deepEqual(cache.page(page(2)), new Uint8Array(PAGE_SIZE));
});

test('the end of the sink ends every wait', async () => {
  const { sink, cache } = small({ outstandingMax: 1 });
  cache.apply([{ page: page(0), offset: 0, bytes: bytes(1), init: true }]);
  const waits = [
    cache.prepare(new NotReady({ pages: [page(5)] })),
    cache.prepare(lacking(() => cache.apply([{ page: page(0), offset: 0, bytes: bytes(2) }]))),
    cache.whenDurable(1 as Ticket),
  ];
  await turn();
  sink.fail(new CodedError('VOLUME_FENCED', 'gone'));
  for (const wait of waits) await assert.rejects(wait, (error) => isCoded(error, 'VOLUME_FENCED'));
  assert.throws(() => cache.page(page(5) satisfies PageNumber), NotReady);
});
