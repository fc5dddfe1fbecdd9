/** Input in batches, output behind the durable point. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, Deferred } from '@rokka/kernel';
import type { Ticket } from '@rokka/volume';
import { InputQueue } from './wire-input.ts';
import { FromClient, message, queryMessage, SYNC_MESSAGE, zeroTerminated } from './wire-messages.ts';
import { HeldReplies } from './wire-output.ts';

const parse = message(FromClient.parse, zeroTerminated('x'), zeroTerminated('select 1'), Buffer.alloc(2));
const data = message(FromClient.copyData, Buffer.from('1\n'));

test('a batch ends with what wants an answer', () => {
  const input = new InputQueue();
  input.push(parse);
  assert.equal(input.hasBatch, false);
  input.push(SYNC_MESSAGE);
  input.push(queryMessage('select 2'));
  assert.equal(input.peekPrepare(), parse);
  assert.deepEqual(input.takeBatch(), [parse, SYNC_MESSAGE]);
  assert.equal(input.hasBatch, true);
  assert.deepEqual(input.takeBatch(), [queryMessage('select 2')]);
  assert.deepEqual([input.hasBatch, input.bytes], [false, 0]);
});

test('a batch that was put back comes again, before what came after it', () => {
  const input = new InputQueue();
  for (const one of [parse, SYNC_MESSAGE, queryMessage('select 2')]) input.push(one);
  const { bytes } = input;
  const batch = input.takeBatch();
  input.push(parse);
  input.putBack(batch);
  assert.equal(input.bytes, bytes + parse.length);
  assert.deepEqual(input.takeBatch(), [parse, SYNC_MESSAGE]);
  assert.deepEqual(input.takeBatch(), [queryMessage('select 2')]);
  assert.deepEqual([input.hasBatch, input.bytes], [false, parse.length]);
});

test('a pipeline without an end is cut, a message never is', () => {
  const input = new InputQueue();
  const large = message(FromClient.parse, Buffer.alloc(600_000));
  input.push(large);
  input.push(parse);
  assert.equal(input.hasBatch, true);
  assert.deepEqual(input.takeBatch(), [large]);
  assert.equal(input.hasBatch, false);
});

test('what is left of a COPY that failed is dropped', () => {
  const input = new InputQueue();
  for (const one of [data, data, message(FromClient.copyDone), SYNC_MESSAGE]) input.push(one);
  assert.deepEqual(input.takeBatch(), [SYNC_MESSAGE]);
  input.push(data);
  input.push(message(FromClient.copyDone));
  assert.deepEqual(
    [input.takeCopy()?.ends, input.takeCopy()?.ends, input.takeCopy()],
    [false, true, undefined],
  );
});

test('what is no COPY data ends a COPY, and is not fed to it', () => {
  const input = new InputQueue();
  for (const one of [data, SYNC_MESSAGE, queryMessage('select 1')]) input.push(one);
  assert.equal(input.takeCopy()?.message, data);
  const end = input.takeCopy();
  assert.deepEqual([end?.message[0], end?.ends], [FromClient.copyFail, true]);
  assert.deepEqual(input.takeBatch(), [queryMessage('select 1')]);
});

class Volume {
  durable = 0 as Ticket;
  #waiters: { ticket: number; done: Deferred<void> }[] = [];

  whenDurable(ticket: Ticket): Promise<void> {
    const done = new Deferred<void>();
    this.#waiters.push({ ticket, done });
    return done.promise;
  }

  async reach(durable: number): Promise<void> {
    this.durable = durable as Ticket;
    for (const { ticket, done } of this.#waiters) if (ticket <= durable) done.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async fail(): Promise<void> {
    for (const { done } of this.#waiters) done.reject(new CodedError('VOLUME_FENCED', 'taken over'));
    await new Promise((resolve) => setImmediate(resolve));
  }

  hurry(): void {}
}

test('replies leave in order, each when its ticket is durable', async () => {
  const volume = new Volume();
  const out: string[] = [];
  const held = new HeldReplies(
    (bytes) => out.push(bytes.toString()),
    () => assert.fail('lost'),
  );
  const push = (text: string, ticket: number) => held.push(Buffer.from(text), ticket as Ticket, volume);
  push('a', 0);
  push('b', 2);
  push('c', 1);
  held.pushFree(Buffer.from('d'));
  push('e', 5);
  assert.deepEqual([out.join(''), held.heldBytes], ['a', 4]);
  await volume.reach(1);
  assert.equal(out.join(''), 'a');
  await volume.reach(4);
  assert.equal(out.join(''), 'abcd');
  await volume.reach(5);
  assert.deepEqual([out.join(''), held.heldBytes], ['abcde', 0]);
});

test('where something is held it can be hastened, and else nobody is', () => {
  let hurries = 0;
  const volume = {
    durable: 5 as Ticket,
    whenDurable: () => new Promise<void>(() => {}),
    hurry: () => hurries++,
  };
  const held = new HeldReplies(
    () => {},
    () => {},
  );
  held.push(Buffer.from('a'), 5 as Ticket, volume);
  held.hasten();
  assert.equal(hurries, 0);
  held.push(Buffer.from('b'), 6 as Ticket, volume);
  held.hasten();
  assert.equal(hurries, 1);
  held.drop();
  held.hasten();
  assert.equal(hurries, 1);
});

test('replies that can never be given are given up, aloud', async () => {
  const volume = new Volume();
  const lost: string[] = [];
  const held = new HeldReplies(
    () => assert.fail('nothing is durable'),
    (reason) => lost.push(reason.code),
  );
  held.push(Buffer.from('a'), 1 as Ticket, volume);
  held.push(Buffer.from('b'), 2 as Ticket, volume);
  await volume.fail();
  assert.deepEqual([lost, held.heldBytes], [['VOLUME_FENCED'], 0]);
});
