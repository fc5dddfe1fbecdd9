/** Which layers give a point: few enough, in order, without a hole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, asPgIndex, must } from '@rokka/kernel';
import * as fc from 'fast-check';
import { coverOf, type Layer, layerKey, layersOf, reachOf } from './layer.ts';
import { uselessLayers } from './upkeep.ts';

const layer = (
  kind: Layer['kind'],
  after: number,
  through: number,
  readableFrom = through,
  toldBefore = through,
): Layer => ({
  kind,
  pg: asPgIndex(0),
  after: asLsn(after),
  through: asLsn(through),
  readableFrom: asLsn(readableFrom),
  toldBefore: asLsn(toldBefore),
});
const names = (layers: readonly Layer[] | undefined) =>
  layers?.map(({ kind, after, through }) => `${kind} ${after}-${through}`);

test('a name says what an object is, and back; a page layer that lacks a part is none yet', () => {
  const log = { ...layer('log', 12, 345), pg: asPgIndex(6_399), firstPage: 0, endPage: 100 };
  const logKey = layerKey('vol-1', log);
  assert.equal(logKey, 'volumes/vol-1/log/06399/0000000000000012-0000000000000345');
  const part = (firstPage: number, endPage: number, readableFrom = 9) => ({
    key: layerKey('vol-1', { ...layer('pages', 0, 7, readableFrom), firstPage, endPage }),
    sizeBytes: 1,
  });
  const others = ['volumes/vol-1/archive.json', `${logKey}.new`, 'volumes/vol-1/times/00000001-0000000001'];
  const objects = [{ key: logKey, sizeBytes: 9 }, ...others.map((key) => ({ key, sizeBytes: 1 }))];
  const some = layersOf([...objects, part(0, 40), part(60, 100)], 100);
  assert.deepEqual(names(some), ['log 12-345']);
  assert.equal(must(some[0]).parts[0]?.sizeBytes, 9);
  const whole = layersOf([part(0, 40), part(40, 50), part(40, 60, 12), part(50, 60, 11), part(60, 100)], 100);
  assert.deepEqual(names(whole), ['pages 0-7']);
  const [{ readableFrom, parts }] = whole;
  assert.deepEqual([readableFrom, parts.map(({ endPage }) => endPage)], [11, [40, 50, 60, 100]]);
});

test('log down to the newest pages that may serve the point, then what those build on', () => {
  const layers = [
    layer('log', 0, 10),
    layer('log', 10, 20),
    layer('log', 20, 30),
    layer('log', 30, 40),
    layer('pages', 10, 20),
    layer('pages', 0, 30),
  ];
  assert.deepEqual(names(coverOf(layers, asLsn(35))), ['log 30-40', 'pages 0-30']);
  // Within the span of a page layer only the log knows.
  assert.deepEqual(names(coverOf(layers, asLsn(25))), ['log 20-30', 'pages 10-20', 'log 0-10']);
  assert.deepEqual(names(coverOf(layers, asLsn(5))), ['log 0-10']);
});

test('pages that were copied while the volume went on serve no point below what they show', () => {
  const layers = [layer('pages', 0, 10, 14, 0), layer('log', 10, 20), layer('log', 20, 30)];
  assert.deepEqual(names(coverOf(layers, asLsn(14))), ['log 10-20', 'pages 0-10']);
  assert.equal(coverOf(layers, asLsn(13)), undefined);
  assert.equal(coverOf([layer('log', 0, 10), layer('log', 11, 20)], asLsn(15)), undefined);
  // A group that began later, or was not written lately, lacks nothing.
  assert.deepEqual(coverOf([layer('log', 20, 30)], asLsn(15)), []);
  assert.deepEqual(names(coverOf([layer('log', 0, 10)], asLsn(15))), ['log 0-10']);
});

test('what was whole before pages were copied stays whole, and is kept', () => {
  // Nothing was written to the group between 60 and 100; then its log was dropped, and its pages copied.
  const layers = [layer('log', 0, 60), layer('pages', 0, 500, 510, 100), layer('log', 500, 600)];
  assert.deepEqual(names(coverOf(layers, asLsn(100))), ['log 0-60']);
  assert.equal(coverOf(layers, asLsn(101)), undefined);
  const useless = (pins: number[]) =>
    names(uselessLayers(layers, { from: asLsn(600), pins: pins.map((pin) => asLsn(pin)) }));
  assert.deepEqual(useless([100]), []);
  assert.deepEqual(useless([]), ['log 0-60']);
  assert.deepEqual(useless([300]), [], 'a point that cannot be given is no reason to let anything go');
});

test('what an attempt to copy left does not hide a whole one', () => {
  const part = (firstPage: number, endPage: number) => ({
    key: layerKey('vol-1', { ...layer('pages', 0, 500), firstPage, endPage }),
    sizeBytes: 1,
  });
  const cut = [part(0, 100), part(100, 250)];
  assert.deepEqual(layersOf(cut, 1_000), []);
  const [whole] = layersOf([...cut, part(100, 240), part(240, 1_000)], 1_000);
  assert.deepEqual(
    whole?.parts.map(({ endPage }) => endPage),
    [100, 240, 1_000],
  );
});

test('whatever layers two archivers made of one log, the cover of a point has each LSN up to it', () => {
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
        const cover = must(coverOf(layers, asLsn(at)));
        const has = (lsn: number) => cover.some(({ after, through }) => after < lsn && lsn <= through);
        for (let lsn = 1; lsn <= Math.min(at, reach); lsn++)
          assert.ok(has(lsn), `${lsn} of ${names(cover)?.join()}`);
        for (let i = 1; i < cover.length; i++) assert.ok(cover[i].through < cover[i - 1].through);
      },
    ),
  );
});

test('what is useless is exactly what no point of the window, no snapshot and no later point is made of', () => {
  const points = fc.array(fc.integer({ min: 0, max: 10 }), { maxLength: 2 });
  fc.assert(
    fc.property(points, fc.integer({ min: 0, max: 10 }), points, (pins, from, copies) => {
      const logs = Array.from({ length: 10 }, (_, i) => layer('log', i * 10, i * 10 + 10));
      const layers = [...logs, ...copies.map((at) => layer('pages', 0, at * 10))];
      const retention = { from: asLsn(from * 10), pins: pins.map((pin) => asLsn(pin * 10)) };
      const useless = uselessLayers(layers, retention);
      const left = layers.filter((one) => !useless.includes(one));
      const asked = [...pins, ...Array.from({ length: 11 - from }, (_, i) => from + i)];
      for (const at of asked)
        assert.deepEqual(
          names(coverOf(left, asLsn(at * 10))),
          names(coverOf(layers, asLsn(at * 10))),
          `${at}`,
        );
      for (const one of useless) assert.ok(one.through <= retention.from);
    }),
  );
});
