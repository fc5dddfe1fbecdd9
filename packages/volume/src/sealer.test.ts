import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPageNumber, type Epoch, type Lsn } from '@rokka/kernel';
import { FLAG_CPL, readRecordHeader, recordIsSound, type RecordHeader } from '@rokka/quorum';
import { Sealer, type SealedRun } from './sealer.ts';
import { recordsOf } from './testing/fake-sink.ts';
import { rawMtr } from './testing/page-writer.ts';

function sealer(options: { lastVolumeLsn?: number; lastPgLsn?: number[] } = {}): Sealer {
  return new Sealer({
    volume: { volumeEpoch: 7 as Epoch, pagesPerGroup: 10, groupsMax: 4 },
    lastVolumeLsn: (options.lastVolumeLsn ?? 0) as Lsn,
    lastPgLsn: (options.lastPgLsn ?? [0, 0]) as Lsn[],
  });
}

function headersOf(runs: readonly SealedRun[]): RecordHeader[] {
  return runs.flatMap(({ bytes }) =>
    [...recordsOf(bytes)].map((record) => {
      assert.ok(recordIsSound(record));
      return readRecordHeader(new DataView(record.buffer, record.byteOffset, record.byteLength), 0);
    }),
  );
}

function seal(by: Sealer, pages: number[], firstLsn: number): { runs: SealedRun[]; headers: RecordHeader[] } {
  const runs = by.seal(rawMtr(pages), pages.length, firstLsn as Lsn);
  return { runs, headers: headersOf(runs) };
}

test('records get dense LSNs, and each chain its links', () => {
  const { headers } = seal(sealer(), [1, 12, 2, 13, 1], 1);
  assert.deepEqual(
    headers.map(({ lsn, previousVolumeLsn, previousPgLsn, previousPageLsn, pg, volumeEpoch }) => [
      lsn,
      previousVolumeLsn,
      previousPgLsn,
      previousPageLsn,
      pg,
      volumeEpoch,
    ]),
    [
      [1, 0, 0, 0, 0, 7],
      [2, 1, 0, 0, 1, 7],
      [3, 2, 1, 0, 0, 7],
      [4, 3, 2, 0, 1, 7],
      [5, 4, 3, 1, 0, 7],
    ],
  );
});

test('only the last record of a mini-transaction is a consistency point', () => {
  const by = sealer();
  const { headers } = seal(by, [1, 12, 2], 1);
  const { headers: single } = seal(by, [1], 4);
  assert.deepEqual(
    [...headers, ...single].map(({ flags }) => flags & FLAG_CPL),
    [0, 0, FLAG_CPL, FLAG_CPL],
  );
});

test('runs are the contiguous records of one group, views of the mini-transaction', () => {
  const mtr = rawMtr([1, 2, 12, 13, 3]);
  const runs = sealer().seal(mtr, 5, 101 as Lsn);
  assert.deepEqual(
    runs.map(({ pg, firstLsn, lastLsn }) => [pg, firstLsn, lastLsn]),
    [
      [0, 101, 102],
      [1, 103, 104],
      [0, 105, 105],
    ],
  );
  assert.ok(runs.every(({ bytes }) => bytes.buffer === mtr.buffer));
  assert.equal(
    runs.reduce((sum, { bytes }) => sum + bytes.length, 0),
    mtr.length,
  );
});

test('after a recovery the first links name the last records that were kept, never an annulled one', () => {
  const by = sealer({ lastVolumeLsn: 104, lastPgLsn: [103, 104, 0] });
  const { headers } = seal(by, [1, 12, 25], 10_000_105);
  assert.deepEqual(
    headers.map(({ previousVolumeLsn, previousPgLsn, previousPageLsn }) => [
      previousVolumeLsn,
      previousPgLsn,
      previousPageLsn,
    ]),
    [
      [104, 103, 0],
      [10_000_105, 104, 0],
      [10_000_106, 0, 0],
    ],
  );
});

test('a page that another one pushed out of the link table has an unknown predecessor, never a wrong one', () => {
  const by = new Sealer({
    volume: { volumeEpoch: 1 as Epoch, pagesPerGroup: 1 << 20, groupsMax: 1 },
    lastVolumeLsn: 0 as Lsn,
    lastPgLsn: [0 as Lsn],
  });
  const { headers } = seal(by, [5, 5 + (1 << 15), 5, 5], 1);
  assert.deepEqual(
    headers.map(({ previousPageLsn }) => previousPageLsn),
    [0, 0, 0, 3],
  );
});

test('a group can be added, and until then nothing is sealed for it', () => {
  const by = sealer();
  assert.equal(by.pgOf(asPageNumber(29)), 2);
  assert.throws(() => by.seal(rawMtr([29]), 1, 1 as Lsn), /not mapped/);
  by.addGroup();
  assert.equal(seal(by, [29], 1).runs[0]?.pg, 2);
});

test('a mini-transaction of more records than it was said to have is refused', () => {
  assert.throws(() => sealer().seal(rawMtr([1, 2]), 1, 1 as Lsn), /bytes behind the last record/);
});
