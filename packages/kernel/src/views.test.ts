import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from './random.ts';
import { joinNeighbours, viewsAfter } from './views.ts';

test('views that lie side by side are one, and nothing is copied', () => {
  const memory = Uint8Array.from({ length: 100 }, (_, at) => at);
  const other = Uint8Array.of(7, 8);
  const views = [memory.subarray(0, 3), memory.subarray(3, 10), memory.subarray(11, 20), other];
  const joined = joinNeighbours([...views, memory.subarray(20, 30), memory.subarray(30, 31)]);
  assert.deepEqual(
    joined.map(({ byteOffset, length }) => [byteOffset, length]),
    [
      [0, 10],
      [11, 9],
      [0, 2],
      [20, 11],
    ],
  );
  for (const { buffer } of joined) assert.ok(buffer === memory.buffer || buffer === other.buffer);
  assert.equal(joined[2], other, 'one that stands alone stays the view that it is');
  assert.deepEqual(joinNeighbours([]), []);
});

test('whatever the views are, the bytes are the same in the same order', () => {
  const random = new SeededRandom(3);
  const memory = Uint8Array.from({ length: 64 }, () => random.below(256));
  for (let round = 0; round < 500; round++) {
    let at = 0;
    const views = Array.from({ length: random.below(8) }, () => {
      if (random.below(3) === 0) at = random.below(memory.length);
      const from = at;
      at = Math.min(memory.length, from + random.below(9));
      return memory.subarray(from, at);
    });
    assert.deepEqual(Buffer.concat(joinNeighbours(views)), Buffer.concat(views));
  }
});

test('what is left of views behind some bytes begins in the middle of one, at the next, or nowhere', () => {
  const views = [[1, 2], [], [3], [4, 5, 6]].map((bytes) => Uint8Array.from(bytes));
  const left = (bytes: number) => viewsAfter(views, bytes).map((view) => [...view]);
  assert.deepEqual(left(0), [[1, 2], [3], [4, 5, 6]]);
  assert.deepEqual(left(1), [[2], [3], [4, 5, 6]]);
  assert.deepEqual(left(2), [[3], [4, 5, 6]]);
  assert.deepEqual(left(4), [[5, 6]]);
  assert.deepEqual(left(6), []);
});
