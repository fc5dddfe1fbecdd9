/** Where the items of a page lie in an object, in the order of pages as they are written, and in that of LSNs as older ones are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, asPageNumber, asPgIndex, ByteWriter, crc32 } from '@rokka/kernel';
import { LAYER_VERSION, LayerIndex } from './layer-object.ts';
import { layerKey } from './layer.ts';
import { MemoryStore } from './testing/memory-store.ts';

const HEADER_BYTES = 40;
const ITEM_BYTES = 10;
const WHOLE = 2 ** 31;
const LAYER = {
  kind: 'log',
  pg: asPgIndex(0),
  after: asLsn(0),
  through: asLsn(9),
  readableFrom: asLsn(9),
  toldBefore: asLsn(9),
} as const;

/** Of items that are all as long, each at the place of its number; the index is by page and LSN, as the format says. */
async function loaded(
  items: readonly { page: number; lsn: number; at: number; whole?: boolean }[],
): Promise<LayerIndex> {
  const header = new ByteWriter(HEADER_BYTES).u32(0x4c41_4b52).u16(LAYER_VERSION).u16(0).u32(0).u32(0);
  header.u64(LAYER.after).u64(LAYER.through).u64(0);
  const index = new ByteWriter(items.length * 24);
  for (const { page, lsn, at, whole = false } of items)
    index
      .u32(page)
      .u32(ITEM_BYTES + (whole ? WHOLE : 0))
      .u64(at * ITEM_BYTES)
      .u64(lsn);
  const trailer = new ByteWriter(24)
    .u32(0x5441_4b52)
    .u32(items.length)
    .u64(items.length * ITEM_BYTES);
  trailer.u32(crc32(Buffer.concat([header.view(), index.view()])));
  trailer.u32(crc32(trailer.view()));
  const part = { ...LAYER, firstPage: 0, endPage: 100 };
  const key = layerKey('one', part);
  const store = new MemoryStore();
  const body = new Uint8Array(items.length * ITEM_BYTES);
  await store.put(key, [header.finish(), body, index.finish(), trailer.finish()]);
  return LayerIndex.load(store, LAYER, { ...part, key, sizeBytes: HEADER_BYTES + items.length * 34 + 24 });
}

const places = (index: LayerIndex, page: number, through: number) =>
  index
    .itemsOf(asPageNumber(page), asLsn(through))
    .map(({ offset, length, whole }) => [(offset - HEADER_BYTES) / ITEM_BYTES, length / ITEM_BYTES, whole]);

test('what a page has side by side is one place, up to the point and down to what needs nothing older', async () => {
  const index = await loaded([
    { page: 0, lsn: 1, at: 0 },
    { page: 0, lsn: 3, at: 1, whole: true },
    { page: 0, lsn: 5, at: 2 },
    { page: 0, lsn: 7, at: 3 },
    { page: 1, lsn: 2, at: 4 },
  ]);
  assert.deepEqual(places(index, 0, 9), [[1, 3, true]]);
  assert.deepEqual(places(index, 0, 6), [[1, 2, true]]);
  assert.deepEqual(places(index, 0, 2), [[0, 1, false]]);
  assert.deepEqual(places(index, 1, 9), [[4, 1, false]]);
  assert.deepEqual(places(index, 2, 9), []);
});

test('where other pages lie between them each is a place of its own, the newest first', async () => {
  const index = await loaded([
    { page: 0, lsn: 1, at: 0 },
    { page: 0, lsn: 3, at: 2 },
    { page: 0, lsn: 4, at: 3 },
    { page: 1, lsn: 2, at: 1 },
  ]);
  assert.deepEqual(places(index, 0, 9), [
    [2, 2, false],
    [0, 1, false],
  ]);
});

test('behind the records of a page lies their sum, which is all that a point above them needs', async () => {
  const index = await loaded([
    { page: 0, lsn: 1, at: 0 },
    { page: 0, lsn: 3, at: 1 },
    { page: 0, lsn: 5, at: 2 },
    { page: 0, lsn: 5, at: 3 },
    { page: 1, lsn: 6, at: 4 },
    { page: 1, lsn: 6, at: 5, whole: true },
    { page: 2, lsn: 6, at: 6 },
  ]);
  assert.deepEqual(places(index, 0, 9), [[3, 1, false]]);
  assert.deepEqual(places(index, 0, 5), [[3, 1, false]]);
  assert.deepEqual(places(index, 0, 4), [[0, 2, false]]);
  assert.deepEqual(places(index, 1, 9), [[5, 1, true]]);
  assert.deepEqual(places(index, 1, 5), []);
  assert.deepEqual(places(index, 2, 9), [[6, 1, false]], 'each page has its own');
});
