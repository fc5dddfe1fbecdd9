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

/** `turn` is one of the event loop: what the thread has posted arrives, and what was put off is done. */
async function begin() {
  const clock = new VirtualClock();
  const { thread, life } = await ThreadStandIn.life(clock);
  const turn = () => {
    thread.deliver();
    clock.advanceTo(clock.nowMs());
  };
  return { thread, life, turn };
}

const outcomes = (given: readonly { outcome: string }[]) => given.map(({ outcome }) => outcome);

test('what the engine had done before it died is done, even where a client reads too slowly', async () => {
  const { thread, life } = await begin();
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

test('where others wait, the engine is waited for awake and what it writes is gathered, and else neither', async () => {
  const { thread, life, turn } = await begin();
  const done = () => {
    thread.work(REPLY);
    turn();
  };
  const alone = give(life, 'alone');
  assert.deepEqual([thread.end.isContended, life.pages.gathers], [false, false]);
  done();
  await settled();
  life.othersWait = () => true;
  const first = give(life, 'first');
  assert.deepEqual([thread.end.isContended, life.pages.gathers], [true, true]);
  done();
  await settled();
  life.othersWait = () => false;
  const last = [give(life, 'last'), give(life, 'behind it')];
  assert.deepEqual([thread.end.isContended, life.pages.gathers], [true, true]);
  done();
  await settled();
  assert.deepEqual([thread.end.isContended, life.pages.gathers], [false, false]);
  done();
  await settled();
  assert.deepEqual(outcomes([alone, first, ...last]), ['done', 'done', 'done', 'done']);
});

test('a reply is heard of whether it comes before the event loop looks out for it, then, or long after', async () => {
  const { thread, life, turn } = await begin();
  life.othersWait = () => true;
  const early = give(life, 'early');
  thread.work(REPLY);
  assert.equal(thread.isWaking, false);
  turn();
  await settled();
  assert.equal(early.outcome, 'done', 'it looks without being told');
  const late = give(life, 'late');
  turn();
  thread.work(REPLY);
  assert.equal(thread.isWaking, true);
  turn();
  await settled();
  assert.equal(late.outcome, 'done', 'it is told where it does not look any more');
  // Whoever leaves replies in the ring looks when it goes on.
  give(life, 'paused', () => life.pause());
  const held = give(life, 'held');
  thread.work(REPLY);
  thread.work(REPLY);
  turn();
  await settled();
  assert.equal(held.outcome, 'open');
  life.resume();
  await settled();
  assert.equal(held.outcome, 'done');
});

test('what runs is not taken back, whatever the engine has yet to put aside in front of it', async () => {
  const { thread, life, turn } = await begin();
  const first = give(life, 'first');
  const taken = [give(life, 'x'), give(life, 'y')];
  assert.equal(thread.take()?.bytes?.toString(), 'first');
  life.takeBack();
  await settled();
  assert.deepEqual(outcomes(taken), ['put aside', 'put aside']);
  thread.say(FrameKind.done);
  turn();
  await settled();
  assert.equal(first.outcome, 'done');
  // The engine has not come to those that were taken back.
  const next = give(life, 'next');
  const behind = give(life, 'behind');
  life.takeBack();
  await settled();
  assert.deepEqual(outcomes([next, behind]), ['open', 'put aside']);
  const ran = [1, 2, 3, 4].map(() => thread.work(REPLY));
  turn();
  await settled();
  assert.deepEqual(ran, [undefined, undefined, 'next', undefined]);
  assert.deepEqual(outcomes([next, behind]), ['done', 'put aside']);
});

test('one that did not lie behind others is lost with the life, and never to be run in another one', async () => {
  const { thread, life, turn } = await begin();
  give(life, 'first');
  give(life, 'taken back');
  thread.take();
  life.takeBack();
  thread.say(FrameKind.done);
  turn();
  // It may be the end of a transaction, which goes with the life.
  const next = give(life, 'commit');
  const behind = give(life, 'behind');
  await life.terminate('it was killed');
  await settled();
  assert.deepEqual(outcomes([next, behind]), ['lost', 'put aside']);
});
