/** Which layers give a point: few enough, in order, without a hole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, asPgIndex, type Lsn } from '@rokka/kernel';
import * as fc from 'fast-check';
import { coverOf, type Layer, layerKey, layerOf, reachOf } from './layer.ts';

const layer = (kind: Layer['kind'], after: number, through: number): Layer => ({
  kind,
  pg: asPgIndex(0),
  after: asLsn(after),
  through: asLsn(through),
});
const names = (layers: readonly Layer[]) =>
  layers.map(({ kind, after, through }) => `${kind} ${after}-${through}`);

test('a name says what a layer is, and back', () => {
  const one = { ...layer('log', 12, 345), pg: asPgIndex(6_399) };
  const key = layerKey('vol-1', one);
  assert.equal(key, 'volumes/vol-1/log/06399/0000000000000012-0000000000000345');
  assert.deepEqual(layerOf({ key, sizeBytes: 9 }), { ...one, key, sizeBytes: 9 });
  for (const other of ['volumes/vol-1/archive.json', `${key}.new`, 'volumes/vol-1/times/00000001-0000000001'])
    assert.equal(layerOf({ key: other, sizeBytes: 1 }), undefined);
});

test('log down to the newest pages below the point, then pages, then the log that they do not span', () => {
  const layers = [
    layer('log', 0, 10),
    layer('log', 10, 20),
    layer('log', 20, 30),
    layer('log', 30, 40),
    layer('pages', 10, 20),
    layer('pages', 20, 30),
  ];
  assert.deepEqual(names(coverOf(layers, asLsn(35))), [
    'log 30-40',
    'pages 20-30',
    'pages 10-20',
    'log 0-10',
  ]);
  // Within the span of a page layer only the log knows.
  assert.deepEqual(names(coverOf(layers, asLsn(25))), ['log 20-30', 'pages 10-20', 'log 0-10']);
  assert.deepEqual(names(coverOf(layers, asLsn(5))), ['log 0-10']);
  // Merged pages stand for those that they were made of.
  const merged = [...layers, layer('pages', 0, 30)];
  assert.deepEqual(names(coverOf(merged, asLsn(35))), ['log 30-40', 'pages 0-30']);
});

test('whatever layers two archivers made of one log, the cover of a point has each LSN up to it, and no gap is passed over', () => {
  const ends = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(
      fc.array(ends, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 30 }),
      (cuts, at) => {
        const layers = cuts.flatMap((some) => {
          const sorted = [0, ...some.sort((a, b) => a - b)];
          return sorted.slice(1).map((through, i) => layer('log', sorted[i], through));
        });
        const reach = reachOf(layers);
        assert.equal(reach, Math.max(...cuts.flat()));
        const cover = coverOf(layers, asLsn(at));
        const has = (lsn: number) => cover.some(({ after, through }) => after < lsn && lsn <= through);
        for (let lsn = 1; lsn <= Math.min(at, reach); lsn++)
          assert.ok(has(lsn), `${lsn} of ${names(cover).join()}`);
        for (let i = 1; i < cover.length; i++) assert.ok(cover[i].through < cover[i - 1].through);
      },
    ),
  );
  const gap = [layer('log', 0, 10), layer('log', 11, 20)];
  assert.equal(reachOf(gap), 10 as Lsn);
});
