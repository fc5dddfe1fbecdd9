import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom, type Lsn } from '@rokka/kernel';
import { RecordMaker } from './testing/records.ts';
import { copyOf, head, TestStore } from './testing/stores.ts';

/** Has the pages brought up to `vdl`, and waits for it. */
function coalesce(node: TestStore, vdl: number): void {
  const segment = node.store.segments.get(head());
  segment.learnPoints({ vdl: vdl as Lsn, pgmrpl: vdl as Lsn });
  node.store.coalescer.demand(segment);
  node.run(2000);
}

function demandPages(node: TestStore, maker: RecordMaker, readPoint: number): void {
  for (let page = 0; page < 8; page++) {
    const expected = maker.page(page, readPoint as Lsn);
    const answer = node.read(page, readPoint);
    assert.equal(answer.pageLsn, expected.lsn, `page ${page} at ${readPoint}`);
    if (expected.lsn > 0) assert.ok(Buffer.from(expected.content).equals(answer.content), `page ${page}`);
  }
}

test('pages on disk contain what is durable for ever, and reads go on from there', () => {
  let node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  node.ship(maker.many(300, { pages: 8 }));
  coalesce(node, 200);
  const segment = node.store.segments.get(head());
  assert.equal(segment.coalesced, 200);
  for (const readPoint of [200, 250, 300]) demandPages(node, maker, readPoint);
  assert.throws(() => node.read(0, 199), { code: 'STORAGE_BELOW_READ_WINDOW' });
  assert.throws(() => node.read(0, 400, { requiredScl: 301 as Lsn }), { code: 'STORAGE_NOT_YET' });
  node = node.reopened({ crash: true });
  assert.equal(node.fence().coalesced, 200);
  for (const readPoint of [200, 250, 300]) demandPages(node, maker, readPoint);
  coalesce(node, 300);
  assert.equal(node.fence().coalesced, 300);
  demandPages(node, maker, 300);
});

test('a tail segment has no pages', () => {
  const node = new TestStore();
  node.create({ kind: 'tail' });
  node.ship(new RecordMaker().many(3));
  assert.throws(() => node.read(0, 3), { code: 'STORAGE_TAIL_HAS_NO_PAGES' });
  assert.equal(node.fence().coalesced, 3);
});

test('the power fails at any write or sync of coalescing: no page is ever lost or wrong', () => {
  let accesses = 0;
  for (let nth = 1; nth <= Math.max(1, accesses); nth++) {
    for (const fate of ['nothing', 'everything', 'half'] as const) {
      const node = new TestStore();
      node.create();
      const maker = new RecordMaker();
      node.ship(maker.many(60, { pages: 8 }));
      coalesce(node, 40);
      node.ship(maker.many(60, { pages: 8 }));
      let count = 0;
      let image: TestStore['disk'] | undefined;
      node.disk.onAccess = () => {
        if (++count !== nth) return;
        image = copyOf(node.disk);
        for (const [path, file] of node.disk.files) {
          const copy = image.files.get(path);
          if (copy) Object.assign(copy, { synced: file.synced.slice(), unsynced: file.unsynced.slice() });
        }
      };
      coalesce(node, 100);
      accesses = Math.max(accesses, count);
      if (!image) continue;
      image.crash(({ length }) => ({ nothing: 0, everything: length, half: length >> 1 })[fate]);
      const again = new TestStore({ disk: image });
      assert.deepEqual([again.fence().scl, again.fence().damaged], [120, false], `${nth} ${fate}`);
      demandPages(again, maker, 120);
      coalesce(again, 120);
      demandPages(again, maker, 120);
      const third = again.reopened({ crash: true });
      assert.equal(third.fence().coalesced, 120);
      demandPages(third, maker, 120);
    }
  }
  assert.ok(accesses >= 5, `${accesses} writes and syncs were tried`);
});

test('a page that rots on disk is unknown, stays so, and is well again when it starts anew', () => {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  for (const page of [0, 1]) maker.make({ page, content: new Uint8Array(100).fill(page + 1) });
  node.ship(maker.made);
  coalesce(node, 2);
  const file = node.disk.files.get('node/pages/1.pages');
  assert.ok(file);
  const at = file.bytes.indexOf(1);
  file.bytes[at] ^= 4;
  file.synced[at] ^= 4;
  assert.throws(() => node.read(0, 2), { code: 'STORAGE_PAGE_UNKNOWN' });
  assert.deepEqual(node.read(1, 2).content, maker.page(1).content, 'its neighbour is served');
  node.ship([maker.make({ page: 0 })]);
  coalesce(node, 3);
  file.bytes[at] ^= 4;
  // The bits are back, but records were applied to nothing meanwhile.
  assert.throws(() => node.read(0, 3), { code: 'STORAGE_PAGE_UNKNOWN' });
  assert.throws(() => node.reopened().read(0, 3), { code: 'STORAGE_PAGE_UNKNOWN' });
  const again = node.reopened();
  again.ship([maker.make({ page: 0, init: true, content: new Uint8Array(10).fill(9) })]);
  const expected = new Uint8Array(8192).fill(9, 0, 10);
  assert.deepEqual(again.read(0, 4).content, expected);
  coalesce(again, 4);
  assert.deepEqual(again.reopened().read(0, 4).content, expected);
});

test('a page table that is not the one of the log takes the segment out of service', () => {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  node.ship(maker.many(40, { pages: 8 }));
  coalesce(node, 40);
  const table = node.disk.files.get('node/pages/1.table');
  assert.ok(table);
  for (let at = 0; at < 64; at += 7) {
    const disk = copyOf(node.disk);
    const bytes = disk.files.get('node/pages/1.table')?.bytes;
    assert.ok(bytes);
    bytes[at] ^= 0x10;
    const again = new TestStore({ disk });
    assert.equal(again.fence().damaged, true);
    assert.throws(() => again.read(0, 40), { code: 'STORAGE_PAGES_DAMAGED' });
  }
});

test('space runs out at any write of coalescing, comes back, and the generation is carried through', () => {
  for (let nth = 1; ; nth++) {
    const node = new TestStore();
    node.create();
    const maker = new RecordMaker();
    node.ship(maker.many(60, { pages: 8 }));
    let writes = 0;
    node.disk.onAccess = (kind) => {
      if (kind === 'write' && ++writes >= nth && writes < nth + 2)
        throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    coalesce(node, 60);
    node.run(5000);
    node.disk.onAccess = undefined;
    assert.equal(node.store.segments.get(head()).coalesced, 60, `write ${nth}`);
    assert.deepEqual(node.failures, []);
    demandPages(node.reopened({ crash: true }), maker, 60);
    if (writes < nth) return;
  }
});

test('thresholds start it: by records, and by what pins the oldest file', () => {
  const byRecords = new TestStore({ tuning: { pageRecords: 20 } });
  byRecords.create();
  const maker = new RecordMaker();
  const points = { vdl: 60 as Lsn, pgmrpl: 60 as Lsn };
  byRecords.ship(maker.many(60, { pages: 4 }), points);
  byRecords.run(100);
  assert.equal(byRecords.fence().coalesced, 0, 'no page lacks more than twenty');
  byRecords.ship(maker.many(40, { pages: 1 }), points);
  byRecords.run(100);
  assert.equal(byRecords.fence().coalesced, 60);
  assert.ok(
    byRecords.store.segments.get(head()).deepestPage >= 40,
    'what is above the read point is still lacking',
  );

  const pinned = new TestStore({ tuning: { logBytes: 3 * 64 * 1024 } });
  pinned.create();
  const other = new RecordMaker();
  for (let i = 0; i < 400; i++) {
    const records = other.many(10, { bytes: 100 });
    pinned.ship(records, { vdl: other.lastLsn, pgmrpl: other.lastLsn, logFloor: other.lastLsn });
    pinned.run(10);
  }
  assert.ok(pinned.store.coalescer.generationCount > 0);
  assert.ok(pinned.store.log.sizeBytes <= 6 * 64 * 1024, `${pinned.store.log.sizeBytes} bytes of log`);
  demandPages(pinned.reopened({ crash: true }), other, 4000);
});

test('whatever the order of arrival, coalescing and restarts, every read equals the dumb model', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new SeededRandom(seed);
    let node = new TestStore({ tuning: { logFileBytes: 32 * 1024, logBatchBytes: 8 * 1024 } });
    node.create();
    const maker = new RecordMaker();
    for (let i = 0; i < 250; i++) {
      const init = random.chance(0.05);
      const bytes = 1 + random.below(300);
      maker.make({
        page: random.below(8),
        offset: random.below(8192 - bytes),
        content: Buffer.from(random.hex(bytes), 'hex'),
        init,
      });
    }
    const waiting = [...maker.made];
    let vdl = 0;
    while (waiting.length > 0) {
      // A window that is shuffled, with some records sent twice.
      const window = waiting.splice(0, 1 + random.below(40));
      const keep = window.filter(() => random.chance(0.8));
      waiting.unshift(...window.filter((record) => !keep.includes(record)));
      if (keep.length > 0) keep.push(random.pick(keep));
      keep.sort(() => (random.chance(0.5) ? 1 : -1));
      for (const record of keep) node.ship([record]);
      const scl = node.store.segments.get(head()).durableScl;
      assert.equal(
        scl,
        Math.min(251, ...waiting.map(({ lsn }) => lsn)) - 1,
        'complete up to the first that is missing',
      );
      if (random.chance(0.3)) coalesce(node, (vdl = vdl + random.below(scl - vdl + 1)));
      if (random.chance(0.15))
        node = node.reopened({
          crash: random.chance(0.5),
          tuning: { logFileBytes: 32 * 1024, logBatchBytes: 8 * 1024 },
        });
      const lowest = Math.max(vdl, node.store.segments.get(head()).coalesced);
      const point = lowest + random.below(node.store.segments.get(head()).durableScl - lowest + 1);
      demandPages(node, maker, point);
    }
    assert.equal(node.store.segments.get(head()).durableScl, 250);
  }
});
