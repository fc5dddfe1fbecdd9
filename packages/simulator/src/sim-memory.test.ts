/** A writer that dies in the middle of what it keeps in memory: so many bytes are there, and nothing of what it did then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn } from '@rokka/kernel';
import type { SimEvent } from './events.ts';
import { ObservedRamLog, SimMemory } from './sim-memory.ts';

const EPOCH = 3 as Epoch;

function start() {
  const memory = new SimMemory('w1');
  const heard: SimEvent[] = [];
  const life = { alive: true };
  const log = new ObservedRamLog(memory, {
    writer: 'w1',
    halfBytesLeast: 1_024,
    isAlive: () => life.alive,
    emit: (event) => heard.push(event),
  });
  const keep = (fill: number) =>
    log.keep(new Uint8Array(200).fill(fill), { recordCount: 1, lastLsn: fill as Lsn, durable: 0 as Lsn });
  const die = (bytes: number) => (log.torn = { bytes, run: () => (life.alive = false) });
  const bytes = () => {
    const into = Buffer.alloc(16 * 1024);
    return into.subarray(4096, memory.files[0].read(into, 0));
  };
  log.begin(EPOCH);
  return { log, keep, die, bytes, life, memory };
}

test('an entry is there up to where its writer died, and nothing that it did after that', () => {
  const { log, keep, die, bytes, life } = start();
  keep(1);
  const before = bytes();
  die(50);
  keep(2);
  assert.equal(life.alive, false);
  keep(3);
  log.end();
  const after = bytes();
  assert.deepEqual(after.subarray(0, before.length), before);
  assert.equal(after.length, before.length + 50);
});

test('an entry that is shorter is whole, and its writer lives on', () => {
  const { keep, die, bytes, life } = start();
  die(1_000);
  keep(1);
  assert.equal(life.alive, true);
  assert.equal(bytes().filter((byte) => byte === 1).length >= 200, true);
});

test('what writes its header does not die there', () => {
  const { log, die, life } = start();
  die(5);
  log.begin((EPOCH + 1) as Epoch);
  assert.equal(life.alive, true);
});
