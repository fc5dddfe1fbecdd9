/** The sum of a page's records leaves in it what they leave, whatever it held before; and it is there where it is worth its while. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asEpoch,
  asLsn,
  asPageNumber,
  asPgIndex,
  bytesEqual,
  must,
  PAGE_SIZE,
  SeededRandom,
} from '@rokka/kernel';
import {
  applyRecord,
  encodeRecord,
  RECORD_BYTES_MAX,
  recordIsSound,
  recordLengthAt,
  sealRecord,
} from '@rokka/quorum';
import * as fc from 'fast-check';
import type { LayerItem } from './layer-object.ts';
import { lastLsnIn, logItems } from './log-items.ts';

interface Change {
  readonly page?: number;
  readonly init?: boolean;
  readonly ranges: readonly { offset: number; length: number }[];
}

/** Sealed records, one a change, with LSNs from 1 on. */
function logOf(changes: readonly Change[], random = new SeededRandom(1)): Uint8Array[] {
  return changes.map(({ page = 0, init = false, ranges }, at) => {
    const content = Uint8Array.from({ length: PAGE_SIZE }, () => random.below(256));
    const room = new Uint8Array(RECORD_BYTES_MAX);
    const of = { page: asPageNumber(page), init, ranges, content };
    const record = room.subarray(0, encodeRecord(room, 0, of));
    sealRecord(record, {
      lsn: asLsn(at + 1),
      previousVolumeLsn: asLsn(at),
      previousPgLsn: asLsn(at),
      previousPageLsn: asLsn(0),
      volumeEpoch: asEpoch(3),
      pg: asPgIndex(0),
      cpl: true,
    });
    return record;
  });
}

function sumsOf(log: readonly Uint8Array[]): LayerItem[] {
  const items = logItems([Buffer.concat(log)]);
  const records = items.slice(0, log.length);
  for (const [at, { parts }] of records.entries()) assert.ok(bytesEqual(must(parts[0]), must(log[at])));
  return items.slice(log.length);
}

function applyItem({ parts }: LayerItem, content: Uint8Array): void {
  // As a reader has them: one after the other, without any bounds but their own.
  const bytes = Buffer.concat(parts);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const record = bytes.subarray(at, at + must(recordLengthAt(view, at)));
    assert.ok(recordIsSound(record));
    applyRecord(record, content);
    at += record.length;
  }
}

const SMALL = { ranges: [{ offset: 100, length: 20 }] };

test('a sum leaves in a page what its records leave, whatever they and the page were', () => {
  let sums = 0;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new SeededRandom(seed);
      const places = 1 + random.below(40);
      const inits = random.pick([0, 0.02]);
      const changes = Array.from({ length: 1 + random.below(200) }, () => ({
        page: random.below(2),
        init: random.chance(inits),
        ranges: Array.from({ length: 1 + random.below(3) }, (_, at) => ({
          offset: at * 2_700 + random.below(places) * 50,
          length: 1 + random.below(60),
        })),
      }));
      const log = logOf(changes, random);
      for (const sum of sumsOf(log)) {
        const before = Uint8Array.from({ length: PAGE_SIZE }, () => random.below(256));
        const after = before.slice();
        const ofPage = log.filter((_, at) => must(changes[at]).page === sum.page);
        for (const record of ofPage) applyRecord(record, after);
        applyItem(sum, before);
        assert.ok(bytesEqual(before, after), `page ${sum.page}`);
        assert.equal(sum.lsn, changes.findLastIndex(({ page }) => page === sum.page) + 1);
        assert.equal(
          sum.whole,
          changes.some(({ page, init }) => page === sum.page && init),
        );
        sums++;
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(sums > 20, `${sums} sums`);
});

test('there is none where it would be more than a quarter of what it stands for', () => {
  assert.equal(sumsOf(logOf(Array.from({ length: 3 }, () => SMALL))).length, 0);
  assert.equal(sumsOf(logOf(Array.from({ length: 4 }, () => SMALL))).length, 1);
  // Such as a log that is written on and on: no byte twice.
  const onAndOn = Array.from({ length: 64 }, (_, at) => ({ ranges: [{ offset: at * 128, length: 128 }] }));
  assert.equal(sumsOf(logOf(onAndOn)).length, 0);
});

test('more ranges than a record can have are several records, of which the first alone begins anew', () => {
  const places = Array.from({ length: 300 }, (_, at) => ({ ranges: [{ offset: at * 20, length: 1 }] }));
  const log = logOf([{ init: true, ...SMALL }, ...places, ...places]);
  const [sum] = sumsOf(log);
  const { parts, whole } = must(sum);
  assert.equal(parts.length, 2);
  assert.equal(whole, true);
  const [content, expected] = [new Uint8Array(PAGE_SIZE).fill(7), new Uint8Array(PAGE_SIZE)];
  applyItem(must(sum), content);
  for (const record of log) applyRecord(record, expected);
  assert.ok(bytesEqual(content, expected));
});

test('two archivers of one log write the same', () => {
  const log = logOf(Array.from({ length: 50 }, () => SMALL));
  const [halves, whole] = [
    [Buffer.concat(log.slice(0, 20)), Buffer.concat(log.slice(20))],
    [Buffer.concat(log)],
  ];
  assert.deepEqual(logItems(halves), logItems(whole));
});

test('records that have rotted are refused: their sum would look sound', () => {
  const log = logOf(Array.from({ length: 50 }, () => SMALL));
  must(log[30])[must(log[30]).length - 1] ^= 1;
  assert.throws(() => logItems([Buffer.concat(log)]), { code: 'ARCHIVE_BAD_LOG' });
});

test('the last LSN of a chunk, and what is no record', () => {
  const chunk = Buffer.concat(logOf([SMALL, SMALL]));
  assert.equal(lastLsnIn(chunk), 2);
  assert.equal(lastLsnIn(new Uint8Array(0)), undefined);
  assert.throws(() => lastLsnIn(chunk.subarray(0, -1)), { code: 'ARCHIVE_BAD_LOG' });
});
