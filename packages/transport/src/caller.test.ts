import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { Caller, type CallerOptions } from './caller.ts';
import type { Connection, ConnectionHandler, Frame } from './connection.ts';
import { MemoryNetwork } from './memory-network.ts';

/** A caller on a virtual clock whose other side is `serve`; one way takes 5 ms. */
async function callerOf(
  serve: (connection: Connection, frame: Frame) => void,
  options: Partial<CallerOptions> = {},
) {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, delayMs: () => 5 });
  const served: ConnectionHandler = { onFrame: serve, onClose() {} };
  let server: Connection | undefined;
  await network.endpoint('server').listen('/s', (connection) => ((server = connection), served));
  const connecting = Caller.connect(network, '/s', { clock, timeoutMs: 100, ...options });
  clock.advanceTo(10);
  const caller = await connecting;
  assert.ok(server);
  return { clock, network, caller, server };
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test('answers find their calls whatever their order', async () => {
  const asked: { requestId: number; body: string }[] = [];
  const { clock, caller } = await callerOf((connection, { requestId, body }) => {
    asked.unshift({ requestId, body: text(body) });
    if (asked.length < 3) return;
    for (const one of asked) connection.send(100, one.requestId, [Buffer.from(`re:${one.body}`)]);
  });
  const calls = ['x', 'y', 'z'].map((body) => caller.call(7, [Buffer.from(body)], { timeoutMs: 50 }));
  assert.equal(caller.inFlight, 3);
  clock.advanceTo(30);
  const answers = await Promise.all(calls);
  // The memory network overwrites bodies after their delivery, so these are copies.
  assert.deepEqual(
    answers.map(({ type, body }) => `${type} ${text(body)}`),
    ['100 re:x', '100 re:y', '100 re:z'],
  );
  assert.equal(caller.inFlight, 0);
});

test('a call has its own deadline, and its late answer is dropped', async () => {
  const rest: number[] = [];
  const { clock, caller } = await callerOf(
    (connection, { requestId }) => clock.after(30, () => connection.send(100, requestId, [])),
    { rest: { onFrame: (_, { type }) => void rest.push(type) } },
  );
  const late = caller.call(7, [], { timeoutMs: 20 });
  const inTime = caller.call(7, [], { timeoutMs: 60 });
  clock.advanceTo(31);
  await assert.rejects(late, { code: 'TRANSPORT_CALL_LATE' });
  clock.advanceTo(100);
  assert.equal((await inTime).type, 100);
  assert.deepEqual(rest, []);
});

test('all calls fail when the connection ends, and every one after that', async () => {
  const closed: string[] = [];
  const { clock, network, caller } = await callerOf(() => {}, {
    rest: { onClose: (_, { code }) => void closed.push(code) },
  });
  const calls = [1, 2, 3].map((type) => caller.call(type, [], { timeoutMs: 1_000 }));
  network.kill('server');
  clock.advanceTo(20);
  for (const call of calls) await assert.rejects(call, { code: 'TRANSPORT_RESET' });
  await assert.rejects(caller.call(4, [], { timeoutMs: 10 }), { code: 'TRANSPORT_RESET' });
  assert.deepEqual([caller.inFlight, closed], [0, ['TRANSPORT_RESET']]);
  assert.equal(clock.nextMs(), undefined, 'no deadline is left behind');
});

test('their number is limited, and so is what waits to be sent', async () => {
  const { clock, caller } = await callerOf(
    (connection, { requestId }) => void connection.send(100, requestId, []),
    {
      callsMax: 3,
    },
  );
  const large = new Uint8Array(7 * 1024 * 1024);
  const calls = [1, 2].map((type) => caller.call(type, [large], { timeoutMs: 100 }));
  await assert.rejects(caller.call(3, [large], { timeoutMs: 100 }), { code: 'TRANSPORT_SEND_FULL' });
  calls.push(caller.call(3, [], { timeoutMs: 100 }));
  await assert.rejects(caller.call(4, [], { timeoutMs: 100 }), { code: 'TRANSPORT_CALLS_FULL' });
  clock.advanceTo(50);
  assert.equal((await Promise.all(calls)).length, 3);
  const again = caller.call(4, [], { timeoutMs: 100 });
  clock.advanceTo(100);
  assert.equal((await again).type, 100);
});

test('an answer that comes in pieces is put together where its call says', async () => {
  const { caller } = await callerOf(() => {});
  const memory = new Uint8Array(64);
  const call = caller.call(7, [], { timeoutMs: 100, into: (length) => memory.subarray(0, length) });
  call.catch(() => {});
  const memoryFor = (requestId: number) => caller.memoryFor({ type: 100, requestId, length: 9 });
  assert.equal(memoryFor(1)?.buffer, memory.buffer);
  assert.equal(memoryFor(1)?.length, 9);
  assert.deepEqual([memoryFor(2), memoryFor(0)], [undefined, undefined]);
});

test('what is no answer goes on: streams, and requests of the other side', async () => {
  const rest: string[] = [];
  const { clock, caller, server } = await callerOf(() => {}, {
    isAnswer: (type) => type >= 100,
    rest: { onFrame: (_, { type, requestId }) => void rest.push(`${type}/${requestId}`) },
  });
  const call = caller.call(7, [], { timeoutMs: 100 });
  server.send(6, 0, []);
  server.send(9, 1, []);
  server.send(100, 1, []);
  server.send(100, 2, []);
  clock.advanceTo(50);
  assert.equal((await call).type, 100);
  assert.deepEqual(rest, ['6/0', '9/1']);
});
