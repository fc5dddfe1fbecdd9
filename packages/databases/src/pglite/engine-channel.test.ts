/** Both ends of the channel on one thread: nothing here waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ticket } from '@rokka/volume';
import { EngineEnd, FrameKind, HostEnd, makeEngineMemory, RequestKind } from './engine-channel.ts';

const { batch, behind, more } = RequestKind;
const bytesOf = (text: string) => Buffer.from(text);

function ends() {
  const memory = makeEngineMemory();
  const host = new HostEnd(memory);
  const woken: string[] = [];
  const engine = new EngineEnd(memory, () => void woken.push('host'));
  const put = (kind: number, number: number, text: string) => {
    const frame = HostEnd.request(kind, number, bytesOf(text));
    assert.equal(host.put(frame), frame.length);
  };
  const read = (length = 64) => {
    const into = new Uint8Array(length);
    const count = engine.read(into, 1, () => assert.fail('it would wait'));
    return Buffer.from(into.subarray(0, count)).toString();
  };
  return { host, engine, put, read, woken };
}

test('a batch is read to its end and no further, whatever lies behind it', () => {
  const { engine, put, read } = ends();
  put(batch, 1, 'select 1');
  put(behind, 2, 'select 2');
  assert.equal(engine.nextBatch(1), batch);
  assert.equal(read(5), 'selec');
  assert.equal(engine.moreToRead, true);
  assert.equal(read(), 't 1');
  assert.equal(engine.moreToRead, false);
  assert.equal(engine.nextBatch(1), behind);
  assert.deepEqual([engine.batchNumber, read()], [2, 'select 2']);
});

test('COPY data goes to the batch that runs; what comes too late is passed over', () => {
  const { engine, put, read } = ends();
  put(batch, 1, 'copy t from stdin');
  assert.equal(engine.nextBatch(1), batch);
  read();
  put(more, 1, 'row');
  assert.equal(read(), 'row');
  put(more, 1, 'late');
  put(more, 1, 'later');
  put(batch, 2, 'select 1');
  assert.equal(engine.nextBatch(1), batch);
  assert.deepEqual([engine.batchNumber, read()], [2, 'select 1']);
});

test('a batch that asks for more has none behind it', () => {
  const { engine, put, read } = ends();
  put(batch, 1, 'a');
  put(behind, 2, 'b');
  engine.nextBatch(1);
  read();
  assert.throws(() => read(), /none behind it/);
});

test('a batch that is put aside is left unread', () => {
  const { engine, put, read } = ends();
  put(batch, 1, 'begin');
  put(behind, 2, 'select 2');
  put(batch, 3, 'rollback');
  engine.nextBatch(1);
  read();
  engine.nextBatch(1);
  engine.passOver(1);
  engine.nextBatch(1);
  assert.deepEqual([engine.batchNumber, read()], [3, 'rollback']);
});

test('what the engine has not taken can be had back, and nothing that comes after it is', () => {
  const { host, engine, put } = ends();
  put(batch, 1, 'select pg_sleep(9)');
  engine.nextBatch(1);
  engine.passOver(1);
  for (const number of [2, 3]) put(behind, number, 'x');
  assert.equal(host.putAside(2, 3), true);
  put(behind, 4, 'x');
  for (const isPutAside of [true, true, false]) {
    engine.nextBatch(1);
    engine.passOver(1);
    assert.equal(engine.isPutAside, isPutAside, `${engine.batchNumber}`);
  }
  put(behind, 5, 'x');
  engine.nextBatch(1);
  assert.equal(engine.isPutAside, false);
  // It may have looked before this.
  assert.equal(host.putAside(5, 6), false);
  engine.passOver(1);
  put(behind, 6, 'x');
  engine.nextBatch(1);
  assert.equal(engine.isPutAside, true);
});

test('numbers of batches go round', () => {
  const { host, engine, put } = ends();
  const last = 2 ** 31 - 1;
  put(batch, last, 'x');
  engine.nextBatch(1);
  engine.passOver(1);
  put(behind, -(2 ** 31), 'x');
  assert.equal(host.putAside(-(2 ** 31), -(2 ** 31) + 1), true);
  engine.nextBatch(1);
  assert.equal(engine.isPutAside, true);
});

test('a cancel is for one batch alone', () => {
  const { host, engine, put } = ends();
  put(batch, 1, 'x');
  engine.nextBatch(1);
  assert.equal(engine.cancelled, false);
  host.cancel(1);
  assert.equal(engine.cancelled, true);
  engine.passOver(1);
  put(batch, 2, 'x');
  engine.nextBatch(1);
  assert.equal(engine.cancelled, false);
});

test('a frame that finds no room comes in parts, and the host hears of the room', () => {
  const { host, engine, woken, read } = ends();
  const text = 'y'.repeat(400_000);
  const frame = HostEnd.request(batch, 1, bytesOf(text));
  let put = host.put(frame);
  assert.ok(put < frame.length);
  assert.equal(engine.nextBatch(1), batch);
  let found = read(100_000);
  assert.deepEqual(woken, ['host']);
  for (; put < frame.length || engine.moreToRead; found += read(300_000))
    put += host.put(frame.subarray(put));
  assert.equal(found, text);
});

test('the event loop looks out for a frame, and finds it', () => {
  const memory = makeEngineMemory();
  const engine = new EngineEnd(memory, () => assert.fail('it is awake'));
  const looks: boolean[] = [];
  const until = (isReady: () => boolean) => {
    looks.push(isReady());
    engine.send({ kind: FrameKind.done, ticket: 0 as Ticket, payload: new Uint8Array(0) }, 1);
    looks.push(isReady());
    return true;
  };
  const host = new HostEnd(memory, { until });
  assert.equal(host.next(), undefined);
  host.stayAwake();
  host.lookOut();
  assert.deepEqual(looks, [false, true]);
  assert.equal(host.next()?.kind, FrameKind.done);
});

test('the engine waits awake for its next batch where clients wait for it, and only there', () => {
  const memory = makeEngineMemory();
  const host = new HostEnd(memory);
  let looks = 0;
  const until = (isReady: () => boolean) => {
    looks++;
    host.put(HostEnd.request(batch, 7, bytesOf('select 7')));
    return isReady();
  };
  const engine = new EngineEnd(memory, () => {}, { until });
  host.isContended = true;
  assert.equal(engine.nextBatch(60_000), batch);
  assert.deepEqual([looks, engine.batchNumber], [1, 7]);
  engine.passOver(1);
  host.isContended = false;
  const into = new Uint8Array(8);
  const count = engine.read(into, 60_000, () => {
    if (!engine.moreToRead) host.put(HostEnd.request(more, 7, bytesOf('row')));
  });
  assert.deepEqual([looks, count], [1, 3]);
});
