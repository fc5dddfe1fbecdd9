import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom, VirtualClock, type CodedError } from '@rokka/kernel';
import type { Connection, ConnectionHandler } from './connection.ts';
import { MemoryNetwork } from './memory-network.ts';
import { Reconnector } from './reconnector.ts';

function world() {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock });
  const log: string[] = [];
  const waits: number[] = [];
  const reconnector = new Reconnector({
    network: network.endpoint('client'),
    address: '/s',
    clock,
    random: new SeededRandom(6),
    handler: () => {
      log.push('up');
      return { onFrame() {}, onClose: (_, { code }) => void log.push(code) };
    },
    onFailure: (_: CodedError, waitMs) => void waits.push(waitMs),
  });
  /** Moves time in steps, and lets promises run between them, as they do on a real clock. */
  const run = async (ms: number) => {
    const end = clock.nowMs() + ms;
    const settle = async () => {
      for (let i = 0; i < 20; i++) await Promise.resolve();
    };
    await settle();
    while (clock.nowMs() < end) {
      clock.advanceTo(Math.min(end, clock.nextMs() ?? end));
      await settle();
    }
  };
  return { clock, network, log, waits, reconnector, run };
}

const silent: ConnectionHandler = { onFrame() {}, onClose() {} };

test('it waits longer and longer, spread, up to a second, while nobody is there', async () => {
  const { waits, run, reconnector } = world();
  await run(20_000);
  let bound = 10;
  for (const wait of waits) {
    assert.ok(wait >= bound / 2 && wait <= bound + 1, `waited ${wait} ms of ${bound}`);
    bound = Math.min(bound * 2, 1_000);
  }
  assert.ok(waits.length > 20 && waits.length < 50, `${waits.length} attempts in 20 s`);
  assert.ok(new Set(waits.slice(-10)).size > 5, 'the waits are spread');
  await reconnector[Symbol.asyncDispose]();
  const attempts = waits.length;
  await run(5_000);
  assert.equal(waits.length, attempts);
});

test('it connects again after each loss, and gives up the connection when disposed', async () => {
  const { network, log, reconnector, run } = world();
  await network.endpoint('server').listen('/s', () => silent);
  await run(2_000);
  assert.ok(reconnector.connection);
  network.cut('client', 'server');
  await run(3_000);
  assert.equal(reconnector.connection, undefined);
  network.heal('client', 'server');
  await run(2_000);
  assert.ok(reconnector.connection);
  const disposed = reconnector[Symbol.asyncDispose]();
  await run(10);
  await disposed;
  assert.deepEqual(log, ['up', 'TRANSPORT_RESET', 'up', 'TRANSPORT_CLOSED_HERE']);
  await run(5_000);
  assert.equal(log.length, 4);
});

test('a listener that drops at once is not hammered; after a long connection the waits start small', async () => {
  const { network, waits, reconnector, run } = world();
  let accept: (connection: Connection) => ConnectionHandler = (connection) => {
    connection.close();
    return silent;
  };
  await network.endpoint('server').listen('/s', (connection) => accept(connection));
  await run(10_000);
  assert.ok(waits.length > 5 && waits.length < 30, `${waits.length} attempts in 10 s`);
  accept = () => silent;
  await run(5_000);
  assert.ok(reconnector.connection);
  waits.length = 0;
  network.cut('client', 'server');
  await run(1);
  assert.ok((waits[0] ?? Infinity) <= 11, `first wait ${waits[0]}`);
  await reconnector[Symbol.asyncDispose]();
});

test('disposed during an attempt, it closes what the attempt opens', async () => {
  const { network, log, reconnector, run } = world();
  await network.endpoint('server').listen('/s', () => silent);
  const disposed = reconnector[Symbol.asyncDispose]();
  await run(100);
  await disposed;
  assert.ok(!reconnector.connection);
  assert.notEqual(log.at(-1), 'up');
});
