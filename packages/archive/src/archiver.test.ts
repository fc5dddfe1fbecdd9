/** What an archiver does so that others wait for less: sums of pages that change all the time, and layers ahead of the round. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asLsn,
  asPageNumber,
  bytesEqual,
  must,
  PAGE_SIZE,
  SeededRandom,
  settled,
  VirtualClock,
} from '@rokka/kernel';
import { ArchiveReader } from './archive-reader.ts';
import { Archiver } from './archiver.ts';
import { archived, demandSame } from './testing/archived.ts';
import { History } from './testing/history.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { spanOf } from './timeline.ts';

test('of a page that changes all the time a few bytes are read from each layer, and where they rot it is noticed', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(21), hotChanges: 200 });
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  const layers = 4;
  for (let layer = 0; layer < layers; layer++) {
    history.write();
    history.write();
    await archived(archiver, clock, history);
  }
  const page = asPageNumber(0);
  const at = { volume: history.volumeId, lsn: history.durable };
  const reader = await ArchiveReader.open(store, at);
  await reader.page(page);
  const read = store.read.bind(store);
  const reads: { key: string; at: number; length: number }[] = [];
  store.read = (key, from, length) => {
    reads.push({ key, at: from, length });
    return read(key, from, length);
  };
  await reader.page(page);
  const bytes = reads.reduce((sum, { length }) => sum + length, 0);
  assert.ok(
    reads.length <= layers && bytes < PAGE_SIZE + 300 * layers,
    `${bytes} bytes, ${reads.length} reads`,
  );
  // Those that come from here on are of damaged objects.
  for (const { key, at: from, length } of reads.splice(0))
    for (let i = 0; i < length; i += 7) {
      const object = must(store.objects.get(key));
      object[from + i] ^= 4;
      await assert.rejects(reader.page(page), { code: 'ARCHIVE_DAMAGED' });
      object[from + i] ^= 4;
    }
  // Every record is there as well: a point between two layers is as good as any.
  for (let lsn = asLsn(13); lsn <= history.durable; lsn = asLsn(lsn + 13)) {
    const content = must(await (await ArchiveReader.open(store, { ...at, lsn })).page(page));
    assert.ok(bytesEqual(content, must(history.pageAt(page, lsn))), `at ${lsn}`);
  }
});

test('a whole layer of log is archived before anybody asks, and told when the round comes', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const history = new History({ volumeId: 'one', random: new SeededRandom(4) });
  await using archiver = new Archiver({ volume: history, store, clock });
  archiver.start();
  history.write();
  const told = await archived(archiver, clock, history);
  const layers = async () => (await store.list('volumes/one/log/')).length;
  const before = await layers();
  const wait = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advanceTo(clock.nowMs() + 50);
      await settled();
    }
  };
  for (let i = 0; i < 20; i++) history.write();
  await wait(1_000);
  assert.equal(await layers(), before, 'a little log waits for the round');
  // As if each group had written a whole layer.
  history.appendedBytes += 3 * 16 * 1024 * 1024;
  await wait(1_000);
  const ahead = await layers();
  assert.ok(ahead > before, 'nobody has asked');
  assert.equal(archiver.archived, told);
  const reached = must(await spanOf(store, history.volumeId)).last.lsn;
  assert.equal(reached, told, 'no point is told before all groups have reached it');
  history.write();
  await wait(1_000);
  assert.equal(await layers(), ahead, 'layers do not get small and many where little is durable');
  await wait(5_000);
  assert.equal(archiver.archived, history.durable);
  const at = { volume: history.volumeId, lsn: history.durable };
  await demandSame(await ArchiveReader.open(store, at), history);
});
