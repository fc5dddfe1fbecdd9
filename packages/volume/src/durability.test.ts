import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DurabilityWaiters, RoomWaiters } from './durability.ts';
import { volumeErrors } from './errors.ts';
import type { Ticket } from './page-store.ts';

const ticket = (value: number) => value as Ticket;
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('waiters wake when their ticket is durable, in whichever order they came', async () => {
  const waiters = new DurabilityWaiters();
  const woken: number[] = [];
  for (const at of [5, 3, 9, 3, 7]) void waiters.wait(ticket(at), ticket(2)).then(() => woken.push(at));
  waiters.advance(ticket(2));
  await settle();
  assert.deepEqual(woken, []);
  waiters.advance(ticket(6));
  await settle();
  assert.deepEqual(woken, [3, 3, 5]);
  waiters.advance(ticket(9));
  await settle();
  assert.deepEqual(woken, [3, 3, 5, 7, 9]);
});

test('what is durable already is not waited for', async () => {
  await new DurabilityWaiters().wait(ticket(4), ticket(4));
});

test('after a failure all who wait, and all who ask later, hear of the first reason', async () => {
  const waiters = new DurabilityWaiters();
  const waiting = waiters.wait(ticket(1), ticket(0));
  waiters.fail(volumeErrors.VOLUME_FENCED(['v', 1, 2]));
  waiters.fail(volumeErrors.VOLUME_CLOSED(['v']));
  await assert.rejects(waiting, { code: 'VOLUME_FENCED' });
  await assert.rejects(
    waiters.wait(ticket(0), ticket(9)),
    { code: 'VOLUME_FENCED' },
    'not even what was durable',
  );
});

test('waiters for room wake together, once', async () => {
  const waiters = new RoomWaiters();
  let woken = 0;
  for (let i = 0; i < 3; i++) void waiters.wait().then(() => woken++);
  waiters.wake();
  await settle();
  assert.equal(woken, 3);
  const next = waiters.wait();
  waiters.fail(volumeErrors.VOLUME_CLOSED(['v']));
  waiters.wake();
  await assert.rejects(next, { code: 'VOLUME_CLOSED' });
  await assert.rejects(waiters.wait(), { code: 'VOLUME_CLOSED' });
});
