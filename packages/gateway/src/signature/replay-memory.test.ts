import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReplayMemory } from './replay-memory.ts';

const signature = (index: number) => index.toString(16).padStart(64, '0').split('').reverse().join('');

test('a signature is admitted once, for as long as it is good', () => {
  const memory = new ReplayMemory();
  const of = { signature: signature(1), goodUntilMs: 1000 };
  assert.equal(memory.admit({ ...of, nowMs: 0 }), 'first');
  assert.equal(memory.admit({ ...of, nowMs: 1000 }), 'again');
  assert.equal(memory.admit({ signature: signature(2), goodUntilMs: 1000, nowMs: 0 }), 'first');
});

test('a full memory lets nothing through unremembered, and forgets what is refused as expired anyway', () => {
  const memory = new ReplayMemory({ limit: 4 });
  for (let i = 0; i < 4; i++)
    assert.equal(memory.admit({ signature: signature(i), goodUntilMs: 100, nowMs: 0 }), 'first');
  for (let i = 4; i < 20; i++)
    assert.equal(memory.admit({ signature: signature(i), goodUntilMs: 100, nowMs: 100 }), 'full');
  assert.equal(memory.admit({ signature: signature(2), goodUntilMs: 100, nowMs: 100 }), 'again');
  let admitted = 0;
  for (let i = 20; i < 28; i++)
    if (memory.admit({ signature: signature(i), goodUntilMs: 300, nowMs: 101 }) === 'first') admitted++;
  assert.equal(admitted, 4);
  assert.equal(memory.size, 4);
});

test('it is bounded, whatever comes', () => {
  const memory = new ReplayMemory({ limit: 10_000 });
  for (let i = 0; i < 50_000; i++) memory.admit({ signature: signature(i), goodUntilMs: i + 900, nowMs: i });
  assert.ok(memory.size <= 10_000, `${memory.size}`);
  assert.ok(memory.size >= 900, 'what is still good is kept');
});
