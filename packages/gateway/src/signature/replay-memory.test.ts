import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REPEAT_MS, ReplayMemory, type Used } from './replay-memory.ts';

const used = (index: number, goodUntilMs: number, isUnique = true): Used => ({
  signature: index.toString(16).padStart(64, '0').split('').reverse().join(''),
  isUnique,
  goodUntilMs,
});

test('a signature of a client that never signs the same twice is admitted once', () => {
  const memory = new ReplayMemory();
  assert.equal(memory.admit(used(1, 1000), 0), 'first');
  assert.equal(memory.admit(used(1, 1000), 0), 'again');
  assert.equal(memory.admit(used(1, 1000), 1000), 'again');
  assert.equal(memory.admit(used(2, 1000), 0), 'first');
});

test('one of a client that may is repeated for a moment, counted from the first', () => {
  const memory = new ReplayMemory();
  const often = used(1, 900_000, false);
  assert.equal(memory.admit(often, 5000), 'first');
  for (let nowMs = 5000; nowMs <= 5000 + REPEAT_MS; nowMs += 500)
    assert.equal(memory.admit(often, nowMs), 'repeated');
  assert.equal(memory.admit(often, 5000 + REPEAT_MS + 1), 'again');
  assert.equal(memory.admit(often, 900_000), 'again');
  assert.equal(memory.admit(often, 0), 'again', 'nor if the clock is set back');
});

test('a full memory lets nothing through unremembered, and forgets what is refused as expired anyway', () => {
  const memory = new ReplayMemory({ limit: 4 });
  for (let i = 0; i < 4; i++) assert.equal(memory.admit(used(i, 100), 0), 'first');
  for (let i = 4; i < 20; i++) assert.equal(memory.admit(used(i, 100), 100), 'full');
  assert.equal(memory.admit(used(2, 100), 100), 'again');
  let admitted = 0;
  for (let i = 20; i < 28; i++) if (memory.admit(used(i, 300), 101) === 'first') admitted++;
  assert.equal(admitted, 4);
  assert.equal(memory.size, 4);
});

test('it is bounded, whatever comes', () => {
  const memory = new ReplayMemory({ limit: 10_000 });
  for (let i = 0; i < 50_000; i++) memory.admit(used(i, i + 900), i);
  assert.ok(memory.size <= 10_000, `${memory.size}`);
  assert.ok(memory.size >= 900, 'what is still good is kept');
});
