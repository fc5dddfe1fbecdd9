import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { PAGE_SIZE, SeededRandom, type PageNumber } from '@rokka/kernel';
import { applyRecord, encodeRecord, RECORD_BYTES_MAX, RECORD_RANGES_MAX } from '@rokka/quorum';
import { changedRanges, type ByteRange } from './changed-ranges.ts';

const runs = { numRuns: 150 };

function randomPage(seed: number): Uint8Array {
  const random = new SeededRandom(seed);
  return Uint8Array.from({ length: PAGE_SIZE }, () => random.below(3));
}

/** Every changed byte by itself: what the clever function must cover, found the dumb way. */
function changedBytes(before: Uint8Array, after: Uint8Array, from: number, to: number): number[] {
  const places: number[] = [];
  for (let at = from; at < to; at++) if (before[at] !== after[at]) places.push(at);
  return places;
}

function applied(before: Uint8Array, after: Uint8Array, ranges: ByteRange[], init = false): Uint8Array {
  const record = new Uint8Array(RECORD_BYTES_MAX);
  const length = encodeRecord(record, 0, { page: 0 as PageNumber, init, ranges, content: after });
  const page = before.slice();
  applyRecord(record.subarray(0, length), page);
  return page;
}

function assertTight(ranges: ByteRange[], places: number[]): void {
  assert.ok(ranges.length <= RECORD_RANGES_MAX);
  const changed = new Set(places);
  let end = -1;
  for (const { offset, length } of ranges) {
    assert.ok(offset > end, 'ranges ascend and are disjoint');
    assert.ok(
      changed.has(offset) && changed.has(offset + length - 1),
      'a range begins and ends with a change',
    );
    end = offset + length - 1;
  }
}

const edit = fc.record({
  at: fc.integer({ min: 0, max: PAGE_SIZE - 1 }),
  length: fc.integer({ min: 1, max: 300 }),
  value: fc.integer({ min: 0, max: 255 }),
});

test('a record of the ranges turns the old page into the new one', () => {
  const scenario = fc.record({
    seed: fc.nat(),
    shift: fc.constantFrom(0, 8),
    edits: fc.array(edit, { maxLength: 40 }),
  });
  fc.assert(
    fc.property(scenario, ({ seed, shift, edits }) => {
      const before = randomPage(seed);
      const after = new Uint8Array(PAGE_SIZE + shift).subarray(shift);
      after.set(before);
      for (const { at, length, value } of edits) after.fill(value, at, at + length);
      const ranges = changedRanges(before, after);
      const places = changedBytes(before, after, 0, PAGE_SIZE);
      assert.equal(ranges.length === 0, places.length === 0);
      assertTight(ranges, places);
      if (ranges.length > 0) assert.deepEqual(applied(before, after, ranges), after);
    }),
    runs,
  );
});

test('only what lies in the span is looked at', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(PAGE_SIZE), fc.nat(PAGE_SIZE), (seed, a, b) => {
      const [from, to] = a < b ? [a, b] : [b, a];
      const before = randomPage(seed);
      const after = randomPage(seed + 1);
      const ranges = changedRanges(before, after, { from, to });
      const places = changedBytes(before, after, from, to);
      assert.equal(ranges.length === 0, places.length === 0);
      assertTight(ranges, places);
      if (ranges.length === 0) return;
      const expected = before.slice();
      expected.set(after.subarray(from, to), from);
      assert.deepEqual(applied(before, after, ranges), expected);
    }),
    runs,
  );
});

test('a page of zeroes is compared as such', () => {
  const after = new Uint8Array(PAGE_SIZE);
  assert.deepEqual(changedRanges(undefined, after), []);
  after[0] = 1;
  after[PAGE_SIZE - 1] = 2;
  const ranges = changedRanges(undefined, after);
  assert.deepEqual(ranges, [
    { offset: 0, length: 1 },
    { offset: PAGE_SIZE - 1, length: 1 },
  ]);
  assert.deepEqual(applied(randomPage(1), after, ranges, true), after);
});

test('seven equal bytes between two changes join them, eight may, fifteen do not', () => {
  const before = new Uint8Array(PAGE_SIZE);
  for (let first = 96; first < 104; first++) {
    for (const [between, counts] of [
      [7, [1]],
      [8, [1, 2]],
      [15, [2]],
    ] as const) {
      const after = before.slice();
      after[first] = 1;
      after[first + between + 1] = 1;
      const ranges = changedRanges(before, after);
      assert.ok(
        counts.some((count) => count === ranges.length),
        `${between} between, from ${first}`,
      );
      assert.deepEqual(applied(before, after, ranges), after);
    }
  }
});

test('not-a-number patterns and signed zeroes are bytes like any other', () => {
  const before = new Uint8Array(PAGE_SIZE).fill(0xff);
  assert.deepEqual(changedRanges(before, before.slice()), []);
  const after = new Uint8Array(PAGE_SIZE);
  after[7] = 0x80;
  assert.deepEqual(changedRanges(undefined, after), [{ offset: 7, length: 1 }]);
});

test('the worst page still fits into one record', () => {
  for (let step = 2; step < 40; step++) {
    const before = new Uint8Array(PAGE_SIZE);
    const after = before.map((_, at) => (at % step === 0 ? 1 : 0));
    const ranges = changedRanges(before, after);
    assert.ok(ranges.length <= RECORD_RANGES_MAX, `${ranges.length} ranges at step ${step}`);
    assert.deepEqual(applied(before, after, ranges), after);
  }
});
