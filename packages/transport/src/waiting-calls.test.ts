import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { WaitingCalls } from './waiting-calls.ts';

test('a call is found by its id, and by no other that stands in its place', () => {
  const calls = new WaitingCalls<string>();
  const first = calls.nextId();
  calls.add(first, 'first');
  assert.equal(calls.get(first), 'first');
  for (let other = first + 1; other < first + 100; other++) assert.equal(calls.get(other), undefined);
  assert.equal(calls.remove(first + 16), undefined);
  assert.equal(calls.remove(first), 'first');
  assert.equal(calls.remove(first), undefined);
  assert.equal(calls.count, 0);
});

test('one that waits for long keeps its id, however many come and go', () => {
  const calls = new WaitingCalls<string>();
  const slow = calls.nextId();
  calls.add(slow, 'slow');
  for (let i = 0; i < 1_000; i++) {
    const id = calls.nextId();
    assert.notEqual(id % 16, slow % 16, 'its place is passed over');
    calls.add(id, 'quick');
    calls.remove(id);
  }
  assert.equal(calls.get(slow), 'slow');
});

test('as a Map has it, at random', () => {
  const random = new SeededRandom(7);
  const calls = new WaitingCalls<number>();
  const known = new Map<number, number>();
  for (let i = 0; i < 20_000; i++) {
    if (random.below(100) < (i % 2_000 < 1_000 ? 60 : 40)) {
      const id = calls.nextId();
      assert.ok(!known.has(id));
      calls.add(id, i);
      known.set(id, i);
    } else {
      const ids = [...known.keys()];
      const id =
        random.below(4) === 0 ? random.below(i + 2) : (ids[random.below(Math.max(1, ids.length))] ?? 0);
      assert.equal(calls.remove(id), known.get(id));
      known.delete(id);
    }
    assert.equal(calls.count, known.size);
  }
  assert.ok(known.size > 16, 'it has grown');
  assert.deepEqual(calls.removeAll(), [...known.values()]);
  assert.deepEqual([calls.count, calls.removeAll()], [0, []]);
});
