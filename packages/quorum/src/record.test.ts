/** The record codec against damage: what was written comes back, and nothing else is ever taken for a record. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asEpoch, asLsn, asPageNumber, asPgIndex, PAGE_SIZE, SeededRandom } from '@rokka/kernel';
import * as fc from 'fast-check';
import {
  applyRecord,
  encodeRecord,
  FLAG_CPL,
  FLAG_INIT,
  readRecordHeader,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  recordIsSound,
  recordLengthAt,
  sealRecord,
} from './record.ts';

interface Range {
  offset: number;
  length: number;
}

const ranges = fc
  .uniqueArray(fc.integer({ min: 0, max: PAGE_SIZE }), { minLength: 2, maxLength: 40 })
  .map((cuts) => {
    const sorted = cuts.sort((a, b) => a - b);
    const found: Range[] = [];
    for (let i = 0; i + 1 < sorted.length; i += 2)
      found.push({ offset: sorted[i], length: sorted[i + 1] - sorted[i] });
    return found;
  });

const sealed = fc.record({
  lsn: fc.maxSafeNat().map(asLsn),
  previousVolumeLsn: fc.maxSafeNat().map(asLsn),
  previousPgLsn: fc.maxSafeNat().map(asLsn),
  previousPageLsn: fc.maxSafeNat().map(asLsn),
  volumeEpoch: fc.nat(2 ** 32 - 1).map(asEpoch),
  pg: fc.nat(65_535).map(asPgIndex),
  cpl: fc.boolean(),
});

function noise(seed: number, length: number): Uint8Array {
  const random = new SeededRandom(seed);
  return Uint8Array.from({ length }, () => random.below(256));
}

function make(options: { seed?: number; ranges: Range[]; init?: boolean }): {
  record: Uint8Array;
  content: Uint8Array;
} {
  const content = noise(options.seed ?? 1, PAGE_SIZE);
  const buffer = new Uint8Array(RECORD_BYTES_MAX + 16);
  const length = encodeRecord(buffer, 7, {
    page: asPageNumber(2 ** 40 + 3),
    init: options.init ?? false,
    ranges: options.ranges,
    content,
  });
  const record = buffer.slice(7, 7 + length);
  sealRecord(record, {
    lsn: asLsn(105),
    previousVolumeLsn: asLsn(104),
    previousPgLsn: asLsn(103),
    previousPageLsn: asLsn(99),
    volumeEpoch: asEpoch(7),
    pg: asPgIndex(2),
    cpl: true,
  });
  return { record, content };
}

test('what was encoded and sealed is read back', () => {
  fc.assert(
    fc.property(ranges, sealed, fc.boolean(), (ranges, seal, init) => {
      const { record } = make({ ranges, init });
      sealRecord(record, seal);
      assert.ok(recordIsSound(record));
      const { length, checksum, flags, rangeCount, page, ...rest } = readRecordHeader(
        new DataView(record.buffer),
        0,
      );
      const { cpl, ...links } = seal;
      assert.deepEqual(rest, links);
      assert.deepEqual(
        { length, flags, rangeCount, page },
        {
          length: record.length,
          flags: (cpl ? FLAG_CPL : 0) | (init ? FLAG_INIT : 0),
          rangeCount: ranges.length,
          page: 2 ** 40 + 3,
        },
      );
      assert.ok(checksum >= 0);
    }),
    { numRuns: 100 },
  );
});

test('applying a record changes its ranges and, but for INIT, nothing else', () => {
  fc.assert(
    fc.property(ranges, fc.boolean(), fc.integer(), (ranges, init, seed) => {
      const { record, content } = make({ ranges, init, seed });
      const before = noise(seed + 1, PAGE_SIZE);
      const expected = init ? new Uint8Array(PAGE_SIZE) : before.slice();
      for (const { offset, length } of ranges)
        for (let at = offset; at < offset + length; at++) expected[at] = content[at];
      applyRecord(record, before);
      assert.deepEqual(before, expected);
    }),
    { numRuns: 50 },
  );
});

test('any flipped bit is found', () => {
  const { record } = make({
    ranges: [
      { offset: 0, length: 5 },
      { offset: 100, length: 30 },
    ],
  });
  for (let bit = 0; bit < record.length * 8; bit++) {
    const damaged = record.slice();
    damaged[bit >> 3] ^= 1 << (bit & 7);
    assert.equal(recordIsSound(damaged), false, `bit ${bit}`);
  }
});

test('a record cut short or followed by more is not sound', () => {
  const { record } = make({ ranges: [{ offset: 0, length: 5 }] });
  for (let length = 0; length < record.length; length++)
    assert.equal(recordIsSound(record.subarray(0, length)), false);
  const longer = new Uint8Array(record.length + 1);
  longer.set(record);
  assert.equal(recordIsSound(longer), false);
});

test('hostile lengths never lead past the end', () => {
  const { record } = make({ ranges: [{ offset: 0, length: 5 }] });
  const view = new DataView(record.buffer);
  for (const length of [0, 1, RECORD_HEADER_BYTES, record.length + 1, RECORD_BYTES_MAX + 1, 2 ** 32 - 1]) {
    view.setUint32(0, length, true);
    assert.equal(recordLengthAt(view, 0), undefined, `length ${length}`);
    assert.equal(recordIsSound(record), false);
  }
  for (let at = 1; at < record.length + 10; at++)
    assert.doesNotThrow(() => recordLengthAt(new DataView(record.buffer), at));
  assert.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => !recordIsSound(bytes)),
      { numRuns: 200 },
    ),
  );
});

test('a range that reaches past the page is refused though the checksum holds', () => {
  const { record } = make({ ranges: [{ offset: PAGE_SIZE - 5, length: 5 }] });
  assert.ok(recordIsSound(record));
  new DataView(record.buffer).setUint16(RECORD_HEADER_BYTES, PAGE_SIZE - 4, true);
  sealRecord(record, {
    lsn: asLsn(1),
    previousVolumeLsn: asLsn(0),
    previousPgLsn: asLsn(0),
    previousPageLsn: asLsn(0),
    volumeEpoch: asEpoch(1),
    pg: asPgIndex(0),
    cpl: false,
  });
  assert.equal(recordIsSound(record), false);
});
