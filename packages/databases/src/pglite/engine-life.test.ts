/** A life of the engine whose thread does as it is told: what each batch is said to have come to, whenever things happen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled, VirtualClock } from '@rokka/kernel';
import { FrameKind } from './engine-channel.ts';
import type { EngineLife } from './engine-life.ts';
import { ThreadStandIn } from './testing/thread-stand-in.ts';

const REPLY = Buffer.from('reply');

/** A batch of a client, and what it was told. */
function give(life: EngineLife, text: string, onReply = () => {}) {
  const given = { text, replies: 0, outcome: 'open' };
  const { outcome } = life.execute(Buffer.from(text), () => {
    given.replies++;
    onReply();
  });
  outcome.then(
    (what) => (given.outcome = what),
    () => (given.outcome = 'lost'),
  );
  return given;
}

const outcomes = (given: readonly { outcome: string }[]) => given.map(({ outcome }) => outcome);

test('what the engine had done before it died is done, even where a client reads too slowly', async () => {
  const { thread, life } = await ThreadStandIn.life(new VirtualClock());
  const slow = give(life, 'a', () => life.pause());
  const behind = give(life, 'b');
  const next = give(life, 'c');
  const never = give(life, 'd');
  assert.deepEqual([thread.work(REPLY), thread.work(REPLY)], ['a', 'b']);
  await life.terminate('it was killed');
  await settled();
  // Of the one that comes next it is not known whether it was begun.
  assert.deepEqual(outcomes([slow, behind, next, never]), ['done', 'done', 'lost', 'put aside']);
  assert.deepEqual([slow.replies, behind.replies], [1, 1]);
});

test('what runs is not taken back, whatever the engine has yet to put aside in front of it', async () => {
  const { thread, life } = await ThreadStandIn.life(new VirtualClock());
  const first = give(life, 'first');
  const taken = [give(life, 'x'), give(life, 'y')];
  assert.equal(thread.take()?.bytes?.toString(), 'first');
  life.takeBack();
  await settled();
  assert.deepEqual(outcomes(taken), ['put aside', 'put aside']);
  thread.say(FrameKind.done);
  thread.deliver();
  await settled();
  assert.equal(first.outcome, 'done');
  // The engine has not come to those that were taken back.
  const next = give(life, 'next');
  const behind = give(life, 'behind');
  life.takeBack();
  await settled();
  assert.deepEqual(outcomes([next, behind]), ['open', 'put aside']);
  const ran = [1, 2, 3, 4].map(() => thread.work(REPLY));
  thread.deliver();
  await settled();
  assert.deepEqual(ran, [undefined, undefined, 'next', undefined]);
  assert.deepEqual(outcomes([next, behind]), ['done', 'put aside']);
});

test('one that did not lie behind others is lost with the life, and never to be run in another one', async () => {
  const { thread, life } = await ThreadStandIn.life(new VirtualClock());
  give(life, 'first');
  give(life, 'taken back');
  thread.take();
  life.takeBack();
  thread.say(FrameKind.done);
  thread.deliver();
  // It may be the end of a transaction, which goes with the life.
  const next = give(life, 'commit');
  const behind = give(life, 'behind');
  await life.terminate('it was killed');
  await settled();
  assert.deepEqual(outcomes([next, behind]), ['lost', 'put aside']);
});
