import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom, type Lsn } from '@rokka/kernel';
import { RecordIndex, type IndexedRecord } from './record-index.ts';

test('the index is a sorted list that is cut at both ends', () => {
  const random = new SeededRandom(3);
  const index = new RecordIndex();
  let twin: (IndexedRecord & { ordinal: number })[] = [];
  let lsn = 0;
  for (let step = 0; step < 400; step++) {
    const kind = random.below(10);
    if (kind < 7) {
      for (let i = random.below(300); i > 0; i--) {
        lsn += 1 + random.below(3);
        const record = {
          lsn: lsn as Lsn,
          page: lsn % 17,
          file: 1 + (lsn >> 8),
          offset: lsn * 3,
          length: lsn % 9000,
          flags: lsn % 3,
        };
        twin.push({ ...record, ordinal: index.push(record) });
      }
    } else if (kind < 9) {
      const floor = twin[random.below(twin.length + 1)]?.lsn ?? (lsn as Lsn);
      index.dropThrough(floor);
      twin = twin.filter((record) => record.lsn > floor);
    } else {
      for (let i = Math.min(twin.length, random.below(200)); i > 0; i--) {
        index.pop();
        lsn = twin.pop()?.lsn ?? lsn;
      }
    }
    assert.equal(index.end - index.first, twin.length);
    const probe = random.below(lsn + 2) as Lsn;
    const above = twin.find((record) => record.lsn > probe);
    assert.equal(index.firstAbove(probe), above?.ordinal ?? index.end);
    assert.equal(
      index.has(probe),
      twin.some((record) => record.lsn === probe),
    );
    if (twin.length === 0) continue;
    const { ordinal, ...record } = random.pick(twin);
    const into = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
    assert.deepEqual(index.read(ordinal, into), record);
  }
  assert.ok(lsn > 10_000);
});
