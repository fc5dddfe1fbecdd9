import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPageNumber, PAGE_SIZE } from '@rokka/kernel';
import { RecordArena } from './record-arena.ts';
import { pageOf, recordsOf } from './testing/fake-sink.ts';

const content = new Uint8Array(PAGE_SIZE).fill(7);
const add = (arena: RecordArena, page: number, length = PAGE_SIZE) =>
  arena.addRecord({ page: asPageNumber(page), init: false, ranges: [{ offset: 0, length }], content });
const pages = (mtr: Uint8Array) => [...recordsOf(mtr)].map(pageOf);

test('a mini-transaction stays in one piece, also over the end of a chunk, and keeps its bytes for good', () => {
  const arena = new RecordArena();
  const taken: { mtr: Uint8Array; copy: Uint8Array; pages: number[] }[] = [];
  let page = 0;
  for (const count of [1, 20, 13, 7, 100, 3, 1, 30]) {
    arena.begin();
    const expected = Array.from({ length: count }, () => page++);
    for (const each of expected) add(arena, each);
    assert.equal(arena.bytes, count * (56 + 4 + PAGE_SIZE));
    const mtr = arena.take();
    taken.push({ mtr, copy: mtr.slice(), pages: expected });
  }
  assert.equal(arena.bytes, 0);
  for (const { mtr, copy, pages: expected } of taken) {
    assert.deepEqual(mtr, copy);
    assert.deepEqual(pages(mtr), expected);
  }
});

test('what was begun and not taken is forgotten', () => {
  const arena = new RecordArena();
  add(arena, 1, 10);
  arena.begin();
  add(arena, 2, 10);
  assert.deepEqual(pages(arena.take()), [2]);
});

test('reserved bytes are part of the mini-transaction', () => {
  const arena = new RecordArena();
  arena.reserve(3).set([1, 2, 3]);
  arena.reserve(300_000).fill(4);
  const mtr = arena.take();
  assert.equal(mtr.length, 300_003);
  assert.deepEqual([...mtr.subarray(0, 4)], [1, 2, 3, 4]);
});

test('what was expected and did not come is not kept with the little that did', () => {
  const arena = new RecordArena();
  const expected = 1024 * 1024;
  const taken = Array.from({ length: 100 }, (_, page) => {
    arena.begin(expected);
    add(arena, page, 10);
    return arena.take();
  });
  const held = new Set(taken.map(({ buffer }) => buffer));
  const bytes = [...held].reduce((sum, buffer) => sum + buffer.byteLength, 0);
  assert.ok(bytes < expected, `${bytes} bytes are held`);
  assert.deepEqual(
    taken.flatMap((mtr) => pages(mtr)),
    Array.from({ length: 100 }, (_, page) => page),
  );
});
