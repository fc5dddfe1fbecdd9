import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessClock, systemClock, VirtualClock, type CodedError } from '@rokka/kernel';
import type { ConnectionHandler, Frame } from './connection.ts';
import type { Lane } from './memory-connection.ts';
import { MemoryNetwork } from './memory-network.ts';
import { networkConformance } from './testing/network-conformance.ts';

networkConformance('memory network', async () => ({
  network: new MemoryNetwork({ clock: systemClock }),
  address: '/node-1.sock',
  async [Symbol.asyncDispose]() {},
}));

/** A world on a virtual clock in which `a` is connected to a listener of `b`; every event goes to one log. */
async function pairOnVirtualClock(delayMs: (link: { from: string }) => number = () => 5) {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, delayMs });
  const log: string[] = [];
  const recorder = (name: string): ConnectionHandler => ({
    onFrame: (_, frame) => log.push(`${clock.nowMs()} ${name} ${Buffer.from(frame.body).toString()}`),
    onBatchEnd: () => log.push(`${clock.nowMs()} ${name} batch`),
    onClose: (_, reason: CodedError) => log.push(`${clock.nowMs()} ${name} ${reason.code}`),
  });
  await network.endpoint('b').listen('b:1', () => recorder('b'));
  const connecting = network.endpoint('a').connect('b:1', recorder('a'), { timeoutMs: 1_000 });
  clock.advanceTo(10);
  return { clock, network, log, recorder, connection: await connecting };
}

test('delivery is by the clock, one batch for what arrives together', async () => {
  const { clock, log, connection } = await pairOnVirtualClock();
  connection.send(1, 0, [Buffer.from('x')]);
  connection.send(1, 0, [Buffer.from('y')]);
  clock.advanceTo(14);
  assert.deepEqual(log, []);
  connection.send(1, 0, [Buffer.from('z')]);
  clock.advanceTo(40);
  assert.deepEqual(log, ['15 b x', '15 b y', '15 b batch', '19 b z', '19 b batch']);
});

test('order is kept whatever the delays are', async () => {
  const delays = [1, 1, 9, 2, 4];
  const { clock, log, connection } = await pairOnVirtualClock(() => delays.shift() ?? 1);
  for (const text of ['x', 'y', 'z']) connection.send(1, 0, [Buffer.from(text)]);
  clock.advanceTo(100);
  assert.deepEqual(log, ['19 b x', '19 b y', '19 b z', '19 b batch']);
});

test('a held link keeps frames until it is healed', async () => {
  const { clock, network, log, connection } = await pairOnVirtualClock();
  network.hold('a', 'b');
  connection.send(1, 0, [Buffer.from('x')]);
  connection.close();
  clock.advanceTo(500);
  assert.deepEqual(log, ['10 a TRANSPORT_CLOSED_HERE']);
  network.heal('a', 'b');
  clock.advanceTo(501);
  assert.deepEqual(log.slice(1), ['500 b x', '500 b batch', '500 b TRANSPORT_CLOSED']);
});

test('a cut breaks both sides, loses what was on its way and refuses connections', async () => {
  const { clock, network, log, recorder, connection } = await pairOnVirtualClock();
  connection.send(1, 0, [Buffer.from('lost')]);
  network.cut('a', 'b');
  clock.advanceTo(20);
  assert.deepEqual(log, ['10 a TRANSPORT_RESET', '10 b TRANSPORT_RESET']);
  assert.equal(connection.send(1, 0, []), false);
  const refused = network.endpoint('a').connect('b:1', recorder('a'), { timeoutMs: 100 });
  clock.advanceTo(30);
  await assert.rejects(refused, { code: 'TRANSPORT_UNREACHABLE' });
  network.heal('a', 'b');
  const again = network.endpoint('a').connect('b:1', recorder('a'), { timeoutMs: 100 });
  clock.advanceTo(60);
  assert.equal((await again).send(1, 0, []), true);
});

test('a killed process hears nothing; the other side does', async () => {
  const { clock, network, log, recorder, connection } = await pairOnVirtualClock();
  network.kill('b');
  connection.send(1, 0, [Buffer.from('x')]);
  clock.advanceTo(20);
  assert.deepEqual(log, ['10 a TRANSPORT_RESET']);
  const gone = network.endpoint('a').connect('b:1', recorder('a'), { timeoutMs: 100 });
  clock.advanceTo(30);
  await assert.rejects(gone, { code: 'TRANSPORT_UNREACHABLE' });
});

test('what a killed process had sent may arrive still, and behind it the news; nothing arrives there any more', async () => {
  const { clock, network, log, connection } = await pairOnVirtualClock();
  network.kill('a', { sentArrives: true });
  assert.equal(connection.send(1, 0, [Buffer.from('too late')]), false);
  clock.advanceTo(20);
  assert.deepEqual(log, ['15 b TRANSPORT_RESET']);
  const again = await pairOnVirtualClock();
  again.connection.send(1, 0, [Buffer.from('x')]);
  again.network.kill('a', { sentArrives: true });
  again.clock.advanceTo(20);
  assert.deepEqual(again.log, ['15 b x', '15 b batch', '15 b TRANSPORT_RESET']);
});

test('a reset loses what was on its way, and the two may connect again at once', async () => {
  const { clock, network, log, recorder, connection } = await pairOnVirtualClock();
  connection.send(1, 0, [Buffer.from('lost')]);
  network.reset('a', 'b');
  clock.advanceTo(20);
  assert.deepEqual(log, ['10 a TRANSPORT_RESET', '10 b TRANSPORT_RESET']);
  const next = network.endpoint('a').connect('b:1', recorder('a'), { timeoutMs: 100 });
  clock.advanceTo(40);
  assert.equal((await next).send(1, 0, []), true);
});

test('what was sent on a connection that lags and is given up arrives behind what is sent on the next connection', async () => {
  const { clock, network, log, recorder, connection } = await pairOnVirtualClock();
  connection.send(1, 0, [Buffer.from('x')]);
  network.lag('a', 'b', 50);
  connection.send(1, 0, [Buffer.from('y')]);
  network.giveUp('a', 'b');
  assert.equal(connection.send(1, 0, [Buffer.from('too late')]), false);
  const next = network.endpoint('a').connect('b:1', recorder('a'), { timeoutMs: 100 });
  clock.advanceTo(30);
  (await next).send(1, 0, [Buffer.from('z')]);
  clock.advanceTo(100);
  assert.deepEqual(log, [
    '10 a TRANSPORT_RESET',
    '35 b z',
    '35 b batch',
    '65 b x',
    '65 b y',
    '65 b batch',
    '65 b TRANSPORT_RESET',
  ]);
});

test('nothing comes back on a connection of which only the other side was not told', async () => {
  const { clock, network, log } = await pairOnVirtualClock();
  const answers: boolean[] = [];
  const echo: ConnectionHandler = {
    onFrame: (connection, { body }) => answers.push(connection.send(2, 0, [body])),
    onClose: (_, reason) => log.push(`${clock.nowMs()} echo ${reason.code}`),
  };
  await network.endpoint('c').listen('c:1', () => echo);
  const heard: ConnectionHandler = {
    onFrame: () => log.push('heard'),
    onClose: (_, reason) => log.push(`${clock.nowMs()} a ${reason.code}`),
  };
  const connecting = network.endpoint('a').connect('c:1', heard, { timeoutMs: 1_000 });
  clock.advanceTo(20);
  (await connecting).send(1, 0, [Buffer.from('x')]);
  network.lag('a', 'c', 10);
  network.giveUp('a', 'c');
  clock.advanceTo(100);
  assert.deepEqual(answers, [true]);
  assert.deepEqual(log, ['20 a TRANSPORT_RESET', '35 echo TRANSPORT_RESET']);
});

test('release undoes hold in one direction', async () => {
  const { clock, network, log, connection } = await pairOnVirtualClock();
  network.hold('a', 'b');
  connection.send(1, 0, [Buffer.from('x')]);
  clock.advanceTo(50);
  network.release('a', 'b');
  clock.advanceTo(51);
  assert.deepEqual(log, ['50 b x', '50 b batch']);
});

test('what is delivered to a process comes by its own time', async () => {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, delayMs: () => 1 });
  const slow = new ProcessClock(clock);
  const heard: string[] = [];
  const listener: ConnectionHandler = {
    onFrame: (_, { body }) => heard.push(`${clock.nowMs()} ${Buffer.from(body).toString()}`),
    onClose: () => heard.push(`${clock.nowMs()} closed`),
  };
  await network.endpoint('b', { clock: slow }).listen('b:1', () => listener);
  const connecting = network.endpoint('a').connect('b:1', { onFrame() {}, onClose() {} }, { timeoutMs: 9 });
  clock.advanceTo(5);
  const connection = await connecting;
  slow.pause();
  for (const text of ['x', 'y']) connection.send(1, 0, [Buffer.from(text)]);
  connection.close();
  clock.advanceTo(50);
  assert.deepEqual(heard, []);
  slow.resume();
  clock.advanceTo(51);
  assert.deepEqual(heard, ['50 x', '50 y', '50 closed']);
});

test('an observer sees each frame when it is taken and when it is delivered', async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const note = (what: string) => (lane: Lane, frame: Frame) =>
    void seen.push(`${clock.nowMs()} ${what} ${lane.connection} ${lane.from}>${lane.to} ${frame.type}`);
  const observer = { sent: note('sent'), delivered: note('delivered') };
  const network = new MemoryNetwork({ clock, delayMs: () => 2, observer });
  const quiet: ConnectionHandler = { onFrame() {}, onClose() {} };
  await network.endpoint('b').listen('b:1', () => quiet);
  const connecting = network.endpoint('a').connect('b:1', quiet, { timeoutMs: 9 });
  clock.advanceTo(10);
  (await connecting).send(7, 0, []);
  clock.advanceTo(20);
  assert.deepEqual(seen, ['10 sent 1 a>b 7', '12 delivered 1 a>b 7']);
});

test('a send buffer of any size takes one frame, and the next when it is empty', async () => {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, delayMs: () => 2, sendLimitBytes: 10 });
  let drained = 0;
  const quiet: ConnectionHandler = { onFrame() {}, onClose() {}, onDrain: () => drained++ };
  await network.endpoint('b').listen('b:1', () => quiet);
  const connecting = network.endpoint('a').connect('b:1', quiet, { timeoutMs: 9 });
  clock.advanceTo(10);
  const connection = await connecting;
  assert.ok(connection.send(1, 0, [Buffer.alloc(100)]));
  assert.ok(!connection.send(1, 0, []));
  clock.advanceTo(20);
  assert.equal(drained, 1);
  assert.ok(connection.send(1, 0, []));
});

test('a connection over a held link comes to its deadline, and no handler is left with it', async () => {
  const { clock, network, log, recorder } = await pairOnVirtualClock();
  network.hold('b', 'a');
  const late = network.endpoint('a').connect('b:1', recorder('late'), { timeoutMs: 100 });
  clock.advanceTo(200);
  await assert.rejects(late, { code: 'KERNEL_DEADLINE' });
  network.heal('a', 'b');
  clock.advanceTo(300);
  assert.deepEqual(log, ['205 b TRANSPORT_CLOSED']);
});

test('a body is gone after its delivery', async () => {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock });
  let kept: Uint8Array = new Uint8Array(0);
  const keeper: ConnectionHandler = { onFrame: (_, { body }) => void (kept = body), onClose() {} };
  await network.listen('/x', () => keeper);
  const connecting = network.connect('/x', keeper, { timeoutMs: 10 });
  clock.advanceTo(1);
  (await connecting).send(1, 0, [Buffer.from('abc')]);
  clock.advanceTo(2);
  assert.deepEqual([...kept], [0xa5, 0xa5, 0xa5]);
});
