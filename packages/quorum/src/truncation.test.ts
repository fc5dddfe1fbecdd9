import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asEpoch, asLsn, isCoded } from '@rokka/kernel';
import * as fc from 'fast-check';
import { Truncation, type TruncationRange } from './truncation.ts';

const range = (volumeEpoch: number, after: number, through: number): TruncationRange => ({
  volumeEpoch: asEpoch(volumeEpoch),
  after: asLsn(after),
  through: asLsn(through),
});
const annulled = (truncation: Truncation, max: number) =>
  Array.from({ length: max }, (_, lsn) => asLsn(lsn)).filter((lsn) => truncation.covers(lsn));

test('a range annuls what is above `after`, through `through`', () => {
  const truncation = Truncation.of([range(2, 3, 6), range(3, 8, 9)]);
  assert.deepEqual(annulled(truncation, 12), [4, 5, 6, 9]);
  assert.equal(truncation.top, 9);
});

test('a recovery that was repeated before anything was written swallows the older range', () => {
  const truncation = Truncation.of([range(2, 3, 6), range(3, 3, 9)]);
  assert.deepEqual(truncation.inForce, [range(3, 3, 9)]);
  assert.deepEqual(annulled(truncation, 12), [4, 5, 6, 7, 8, 9]);
});

test('a range whose LSNs a later recovery kept in ignorance is void', () => {
  const truncation = Truncation.of([range(2, 3, 13), range(3, 5, 15)]);
  assert.deepEqual(annulled(truncation, 20), [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  // Or else the later writer's first records would be refused by whoever knows the older range.
  assert.deepEqual(Truncation.of([range(2, 3, 13), range(3, 2, 12)]).inForce, [range(3, 2, 12)]);
});

test('one that made another void may turn out void itself, in whatever order they become known', () => {
  const older = range(2, 3, 13);
  const ignorant = range(3, 3, 23);
  // Knows `older`, whose writer wrote 14, but not `ignorant`, which never reached a write quorum.
  const newest = range(4, 14, 24);
  for (const order of [
    [older, ignorant, newest],
    [ignorant, older, newest],
    [newest, ignorant, older],
  ]) {
    let truncation = Truncation.none;
    for (const one of order) truncation = truncation.with([one]);
    assert.deepEqual(truncation.inForce, [older, newest]);
    assert.equal(truncation.covers(asLsn(14)), false);
    assert.equal(truncation.covers(asLsn(4)), true);
  }
});

test('two ranges under one epoch are refused, the same one twice is not', () => {
  const truncation = Truncation.of([range(2, 3, 6)]);
  assert.equal(truncation.with([range(2, 3, 6)]), truncation);
  assert.throws(
    () => truncation.with([range(2, 4, 6)]),
    (error) => isCoded(error, 'QUORUM_RANGE_CONFLICT'),
  );
});

const ranges = fc
  .array(fc.record({ after: fc.nat(60), length: fc.integer({ min: 1, max: 30 }), served: fc.boolean() }), {
    maxLength: 8,
  })
  .map((found) => found.map(({ after, length }, index) => range(index + 2, after, after + length)));

test('knowledge is a set: the order and grouping in which ranges come makes no difference', () => {
  fc.assert(
    fc.property(ranges, fc.infiniteStream(fc.nat()), (ranges, stream) => {
      const keys = new Map(ranges.map((one) => [one, stream.next().value]));
      const shuffled = [...ranges].sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
      let truncation = Truncation.none;
      for (const one of shuffled) truncation = truncation.with([one]);
      assert.deepEqual(truncation.known, Truncation.of(ranges).known);
      assert.deepEqual(annulled(truncation, 100), annulled(Truncation.of(ranges), 100));
      for (const [index, one] of truncation.inForce.entries()) {
        const next = truncation.inForce[index + 1];
        assert.ok(!next || (one.through < next.after && one.volumeEpoch < next.volumeEpoch));
      }
    }),
    { numRuns: 300 },
  );
});

test('once a writer has served, older ranges that are not in force are forgotten, and nothing else changes', () => {
  const truncation = Truncation.of([range(2, 3, 6), range(3, 3, 16), range(4, 3, 26), range(5, 30, 40)]);
  const shorter = truncation.served(asEpoch(4));
  assert.deepEqual(shorter.known, [range(4, 3, 26), range(5, 30, 40)]);
  assert.deepEqual(annulled(shorter, 50), annulled(truncation, 50));
  assert.equal(truncation.served(asEpoch(9)), truncation, 'its own range is not known here');
});
