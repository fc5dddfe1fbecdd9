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

test('a branch has the pages, and neither sees what the other writes', () => {
  const store = new MemoryPageStore();
  const text = (of: MemoryPageStore) => Buffer.from(of.page(page)).toString('latin1', 0, 4);
  const write = (of: MemoryPageStore, word: string, offset = 0) =>
    of.apply([{ page, offset, bytes: Buffer.from(word) }]);
  write(store, 'abcd');
  const one = store.branch();
  const two = store.branch();
  write(store, '1');
  write(one, '2', 1);
  write(two, '3', 2);
  write(one, '4', 3);
  assert.deepEqual([text(store), text(one), text(two)], ['1bcd', 'a2c4', 'ab3d']);
  assert.deepEqual([store.history.length, one.history.length], [2, 2]);
  const later = one.branch();
  write(one, '5');
  assert.equal(text(later), 'a2c4');
});
