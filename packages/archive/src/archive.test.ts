/** An archive gives back every page at every point that it has, whatever went wrong while it was made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asEpoch,
  asLsn,
  asPageNumber,
  asPgIndex,
  bytesEqual,
  isCoded,
  type Lsn,
  must,
  SeededRandom,
  settled,
  systemClock,
  VirtualClock,
} from '@rokka/kernel';
import * as fc from 'fast-check';
import { ArchiveReader } from './archive-reader.ts';
import { Archiver } from './archiver.ts';
import { archivedVolumes, readDescriptor } from './descriptor.ts';
import { archiveErrors } from './errors.ts';
import { archived, demandSame, pagesOf } from './testing/archived.ts';
import { History } from './testing/history.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { storeKinds } from './testing/store-kinds.ts';
import { ReadTurns } from './read-turns.ts';
import { pointAt, spanOf, TimelineWriter } from './timeline.ts';
import { makePages, removeArchive, removeUseless } from './upkeep.ts';

test('every page at every point, over random histories, archivers that die and a store that fails', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = new SeededRandom(seed);
      const clock = new VirtualClock();
      const store = new MemoryStore();
      const history = new History({ volumeId: 'one', random, hotChanges: random.pick([0, 0, 10]) });
      const points: Lsn[] = [];
      store.fails = () => random.chance(0.1);
      for (let life = 0; life < 4; life++) {
        history.volumeEpoch = asEpoch(life + 1);
        await using archiver = new Archiver({ volume: history, store, clock });
        archiver.start();
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 5; i++) history.write();
          points.push(await archived(archiver, clock, history));
        }
      }
      store.fails = () => false;
      for (const lsn of [...points, asLsn(1 + random.below(history.durable))])
        await demandSame(await ArchiveReader.open(store, { volume: history.volumeId, lsn }), history);
      for (const [pg, after] of history.held) assert.equal(after, history.lastDurableOf(pg));
    }),
    { numRuns: 25 },
  );
});

for (const [kind, open] of Object.entries(storeKinds))
  test(`a store of the kind ${kind} gives back what was archived in it, until it is let go`, async () => {
    await using resources = new AsyncDisposableStack();
    const store = await open(resources);
    const clock = systemClock;
    const history = new History({ volumeId: 'one', random: new SeededRandom(13) });
    const { volumeId: volume, pagesPerGroup } = history;
    const { signal } = new AbortController();
    const points: Lsn[] = [];
    for (let life = 0; life < 2; life++) {
      history.volumeEpoch = asEpoch(life + 1);
      await using archiver = new Archiver({ volume: history, store, clock });
      archiver.start();
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 5; i++) history.write();
        points.push(await archiver.flush(AbortSignal.timeout(20_000)));
      }
    }
    const descriptor = must(await readDescriptor(store, volume));
    for (let pg = asPgIndex(0); pg < history.groupCount; pg = asPgIndex(pg + 1))
      await makePages(store, { descriptor, pg, at: history.lastDurableOf(pg), clock, signal });
    for (const lsn of points) await demandSame(await ArchiveReader.open(store, { volume, lsn }), history);
    const retention = { from: must(points.at(-1)), pins: [] };
    const { removedBytes } = await removeUseless(store, { volume, pagesPerGroup, retention, signal });
    assert.ok(removedBytes > 0);
    await demandSame(await ArchiveReader.open(store, { volume, lsn: retention.from }), history);
    assert.deepEqual(await archivedVolumes(store), [volume]);
    await removeArchive(store, volume, signal);
    assert.deepEqual(await store.list(''), []);
  });

test('a store that fails while a page is read fails that read, and nothing else', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(1) });
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  for (let layers = 0; layers < 6; layers++) {
    for (let writes = 0; writes < 40; writes++) history.write();
    await archived(archiver, clock, history);
  }
  const reader = await ArchiveReader.open(store, { volume: history.volumeId, lsn: history.durable });
  await demandSame(reader, history);
  const stray: unknown[] = [];
  const onStray = (error: unknown) => void stray.push(error);
  process.on('unhandledRejection', onStray);
  let reads = 0;
  // Indexes are known by now: each page asks for several items at once, and hears of the last of them first.
  store.read = async () => {
    if (reads++ === 0) await systemClock.sleep(5);
    throw archiveErrors.ARCHIVE_STORE_FAILED(['read', 'away']);
  };
  let most = 0;
  for (let page = asPageNumber(0); page < history.pageCount; page = asPageNumber(page + 1)) {
    reads = 0;
    await reader.page(page).catch((error: unknown) => assert.ok(isCoded(error, 'ARCHIVE_STORE_FAILED')));
    most = Math.max(most, reads);
  }
  await systemClock.sleep(5);
  process.off('unhandledRejection', onStray);
  assert.ok(most > 1, 'some page asks for several items at once');
  assert.deepEqual(stray, []);
});

test('however many pages are asked for, a store has some reads at once, and each page is right', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(3) });
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  for (let layers = 0; layers < 30; layers++) {
    for (let writes = 0; writes < 12; writes++) history.write();
    await archived(archiver, clock, history);
  }
  let [now, most] = [0, 0];
  const read = store.read.bind(store);
  store.read = async (...of) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    return read(...of).finally(() => now--);
  };
  const reads = new ReadTurns(store, 3);
  const point = { volume: history.volumeId, lsn: history.durable };
  await demandSame(await ArchiveReader.open(store, point, { reads }), history);
  assert.equal(most, 3);
  assert.equal(now, 0);
});

test('of pages that are read together one that is damaged takes no other along, and all of them are a few reads', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(9) });
  const { volumeId: volume } = history;
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  for (let writes = 0; writes < 200; writes++) history.write();
  await archived(archiver, clock, history);
  const descriptor = must(await readDescriptor(store, volume));
  const { signal } = new AbortController();
  for (let pg = asPgIndex(0); pg < history.groupCount; pg = asPgIndex(pg + 1))
    await makePages(store, { descriptor, pg, at: history.lastDurableOf(pg), clock, signal });
  const reader = await ArchiveReader.open(store, { volume, lsn: history.durable });
  const pages = pagesOf(history);
  await Promise.all(reader.readMany(pages));
  const read = store.read.bind(store);
  const reads: { key: string; at: number; length: number }[] = [];
  store.read = (key, at, length) => {
    reads.push({ key, at, length });
    return read(key, at, length);
  };
  await Promise.all(reader.readMany(pages));
  assert.equal(reads.length, history.groupCount, 'the pages of a layer lie side by side');
  // In the middle of what is read.
  const { key, at, length } = must(reads[0]);
  must(store.objects.get(key))[at + Math.floor(length / 2)] ^= 1;
  const settled = await Promise.allSettled(reader.readMany(pages));
  const failed = settled.flatMap((one, page) => (one.status === 'rejected' ? [page] : []));
  assert.equal(failed.length, 1);
  for (const [page, one] of settled.entries())
    if (one.status === 'fulfilled')
      assert.ok(
        bytesEqual(must(one.value), must(history.pageAt(asPageNumber(page), reader.lsn))),
        `page ${page}`,
      );
});

test('where log is gone pages are copied, and history goes on from there', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = new SeededRandom(seed);
      const clock = new VirtualClock();
      const store = new MemoryStore();
      const history = new History({ volumeId: 'one', random });
      const lines: string[] = [];
      const options = { volume: history, store, clock, heldBytesMax: 20_000 };
      for (let i = 0; i < 20; i++) history.write();
      // Before there was an archive.
      history.droppedTo = history.durable;
      await using archiver = new Archiver({ ...options, log: (text) => lines.push(text) });
      archiver.start();
      for (let i = 0; i < 3; i++) {
        for (let j = 0; j < 4; j++) history.write();
        const lsn = await archived(archiver, clock, history, { atLeast: true });
        await demandSame(await ArchiveReader.open(store, { volume: history.volumeId, lsn }), history);
      }
      // The store is away, and what the nodes keep for it has a limit.
      store.fails = () => true;
      while (!lines.some((line) => line.includes('keep no more'))) {
        history.write();
        clock.advanceTo(clock.nowMs() + 1_000);
        await settled();
      }
      history.droppedTo = history.durable;
      store.fails = () => false;
      const lsn = await archived(archiver, clock, history, { atLeast: true });
      await demandSame(await ArchiveReader.open(store, { volume: history.volumeId, lsn }), history);
      // No point says what is not there.
      for (const at of [asLsn(1), asLsn(history.droppedTo - 1)])
        await assert.rejects(ArchiveReader.open(store, { volume: history.volumeId, lsn: at }), {
          code: 'ARCHIVE_GAP',
        });
    }),
    { numRuns: 15 },
  );
});

test('page layers, merged and thinned out: every point that is kept stays as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = new SeededRandom(seed);
      const clock = new VirtualClock();
      const store = new MemoryStore();
      const history = new History({ volumeId: 'one', random, hotChanges: random.pick([0, 10]) });
      const { volumeId: volume, pagesPerGroup } = history;
      const { signal } = new AbortController();
      await using archiver = new Archiver({ volume: history, store, clock });
      archiver.start();
      const points: Lsn[] = [];
      for (let i = 0; i < 12; i++) {
        for (let j = 0; j < 3; j++) history.write();
        points.push(await archived(archiver, clock, history));
        if (!random.chance(0.3)) continue;
        const descriptor = must(await readDescriptor(store, volume));
        const pg = asPgIndex(random.below(history.groupCount));
        const at = history.lastDurableOf(pg);
        if (at > 0) await makePages(store, { descriptor, pg, at, signal, clock: systemClock });
      }
      const pins = [random.pick(points)];
      const from = must(points[8]);
      const before = store.objects.size;
      const retention = { from, pins };
      const { removedBytes } = await removeUseless(store, { volume, pagesPerGroup, retention, signal });
      assert.equal(removedBytes > 0, store.objects.size < before);
      for (const lsn of [...pins, ...points.slice(8)])
        await demandSame(await ArchiveReader.open(store, { volume, lsn }), history);
      await removeArchive(store, volume, signal);
      assert.equal(store.objects.size, 0);
    }),
    { numRuns: 25 },
  );
});

test('two archivers at once write one history', async () => {
  const random = new SeededRandom(7);
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random, hotChanges: 10 });
  await using first = new Archiver({ volume: history, store, clock });
  await using second = new Archiver({ volume: history, store, clock });
  first.start();
  second.start();
  for (let i = 0; i < 20; i++) {
    history.write();
    await archived(random.chance(0.5) ? first : second, clock, history);
  }
  const lsn = history.durable;
  await demandSame(await ArchiveReader.open(store, { volume: history.volumeId, lsn }), history);
});

test('a clone of a clone gives what it wrote, and below that what each was made of', async () => {
  const random = new SeededRandom(11);
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const grandmother = new History({ volumeId: 'a', random });
  let history = grandmother;
  for (let i = 0; i < 12; i++) history.write();
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  await archived(archiver, clock, history);
  for (const volumeId of ['b', 'c']) {
    const parent = history;
    const lsn = parent.durable;
    const base = { volume: parent.volumeId, lsn, pages: parent.pageCount };
    history = new History({ volumeId, random, hotChanges: 10, base: (page) => parent.pageAt(page, lsn) });
    for (let i = 0; i < 8; i++) history.write();
    await using next = new Archiver({ volume: history, base, store, clock });
    next.start();
    await archived(next, clock, history);
    // What the parent writes from here on is nothing to its clone.
    for (let i = 0; i < 8; i++) parent.write();
    const at = { volume: history.volumeId, lsn: history.durable };
    await demandSame(await ArchiveReader.open(store, at), history);
  }
});

test('a byte that rots anywhere is an error, or makes no difference; never another content', async () => {
  const random = new SeededRandom(3);
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random });
  for (let i = 0; i < 6; i++) history.write();
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  const lsn = await archived(archiver, clock, history);
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const [, object] = random.pick([...store.objects]);
    const at = random.below(object.length);
    const bit = 1 << random.below(8);
    object[at] ^= bit;
    try {
      await demandSame(await ArchiveReader.open(store, { volume: history.volumeId, lsn }), history);
    } catch (error) {
      if (!isCoded(error)) throw error;
      refused++;
    }
    object[at] ^= bit;
  }
  assert.ok(refused > 200, `${refused} of 400 were noticed`);
});

test('points in time: the last one at or before, across hours and writers', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(5) });
  const seen: { atMs: number; lsn: Lsn }[] = [];
  for (let life = 0; life < 3; life++) {
    history.volumeEpoch = asEpoch(life + 1);
    await using archiver = new Archiver({ volume: history, store, clock });
    archiver.start();
    for (let i = 0; i < 4; i++) {
      history.write();
      await archived(archiver, clock, history);
      seen.push({ atMs: clock.wallMs(), lsn: history.durable });
      clock.advanceTo(clock.nowMs() + 20 * 60_000);
      await settled();
    }
  }
  for (const { atMs, lsn } of seen)
    assert.equal((await pointAt(store, history.volumeId, atMs + 60_000))?.lsn, lsn);
  assert.equal(await pointAt(store, history.volumeId, must(seen[0]).atMs - 60_000), undefined);
  const span = must(await spanOf(store, history.volumeId));
  assert.deepEqual([span.first.lsn, span.last.lsn], [must(seen[0]).lsn, must(seen.at(-1)).lsn]);
});

test('a clock that is set back takes no point away, and the last one is the last that was written', async () => {
  const store = new MemoryStore();
  const of = { volume: 'one' as never, epoch: asEpoch(3) };
  const writer = new TimelineWriter(store, of);
  const hour = 3_600_000;
  const at = (hours: number, lsn: number) => ({ atMs: hours * hour, lsn: asLsn(lsn) });
  await writer.add([at(10.9, 10)]);
  await writer.add([at(11.1, 20)]);
  await writer.add([at(10.95, 30)]);
  assert.equal((await pointAt(store, of.volume, 10.9 * hour))?.lsn, 10);
  assert.equal((await pointAt(store, of.volume, 11.1 * hour))?.lsn, 30);
  // The next writer is on a machine whose clock is an hour behind.
  await new TimelineWriter(store, { ...of, epoch: asEpoch(4) }).add([at(10.1, 40)]);
  assert.equal((await spanOf(store, of.volume))?.last.lsn, 40);
});

test('points that come while they are read do not make them look damaged', async () => {
  const store = new MemoryStore();
  const of = { volume: 'one' as never, epoch: asEpoch(3) };
  const writer = new TimelineWriter(store, of);
  await writer.add([{ atMs: 1_000, lsn: asLsn(1) }]);
  const read = store.read.bind(store);
  let lsn = 1;
  store.read = async (key, at, length) => {
    if (++lsn <= 4) await writer.add([{ atMs: lsn * 1_000, lsn: asLsn(lsn) }]);
    return read(key, at, length);
  };
  assert.equal((await spanOf(store, of.volume))?.last.lsn, 4);
  const [[, object]] = [...store.objects];
  object[3] ^= 1;
  await assert.rejects(spanOf(store, of.volume), { code: 'ARCHIVE_DAMAGED' });
});

test('a point that could not be written keeps its second', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(5) });
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  history.write();
  await archived(archiver, clock, history);
  history.write();
  const { durable: lsn } = history;
  const failed = new Set<string>();
  store.fails = (key) => key.includes('/times/') && failed.size < failed.add(key).size;
  const askedMs = clock.wallMs();
  await archived(archiver, clock, history);
  assert.equal(failed.size, 1);
  assert.ok(clock.wallMs() >= askedMs + 1_000, 'the second attempt came later');
  assert.equal((await pointAt(store, history.volumeId, askedMs + 100))?.lsn, lsn);
});

test('what is not in the archive yet is refused, and what has none', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(5) });
  const at = { volume: history.volumeId, lsn: asLsn(1) };
  await assert.rejects(ArchiveReader.open(store, at), { code: 'ARCHIVE_EMPTY' });
  history.write();
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  await archived(archiver, clock, history);
  const beyond = { volume: history.volumeId, lsn: asLsn(history.durable + 1) };
  await assert.rejects(ArchiveReader.open(store, beyond), { code: 'ARCHIVE_NOT_YET' });
});
