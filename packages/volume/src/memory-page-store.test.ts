import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPageNumber } from '@rokka/kernel';
import { MemoryPageStore } from './memory-page-store.ts';

const page = asPageNumber(3);

test('a replay has what was written, whatever the writer did with its buffer since', () => {
  const store = new MemoryPageStore();
  const buffer = Buffer.from('first');
  store.apply([{ page, offset: 0, bytes: buffer.subarray(0, 5) }]);
  buffer.write('other');
  store.apply([{ page, offset: 5, bytes: buffer }]);
  const textAfter = (count: number) => {
    const replayed = MemoryPageStore.replay(store.history, count);
    return Buffer.from(replayed.page(page)).toString('latin1', 0, 10);
  };
  assert.equal(textAfter(1), 'first\0\0\0\0\0');
  assert.equal(textAfter(2), 'firstother');
});
