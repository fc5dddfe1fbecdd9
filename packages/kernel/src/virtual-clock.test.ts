import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ProcessClock } from './process-clock.ts';
import { settled, VirtualClock, whileSettled } from './virtual-clock.ts';

/** The dumb twin: a list that is searched for the earliest, the first made among equals. */
function expectedOrder(timers: readonly { delayMs: number; cancelled: boolean }[]): number[] {
  return timers
    .map(({ delayMs, cancelled }, id) => ({ delayMs, cancelled, id }))
    .filter(({ cancelled }) => !cancelled)
    .sort((a, b) => a.delayMs - b.delayMs || a.id - b.id)
    .map(({ id }) => id);
}

test('timers fire by their time, then by their making, whatever is cancelled', () => {
  const timer = fc.record({ delayMs: fc.integer({ min: 0, max: 20 }), cancelled: fc.boolean() });
  fc.assert(
    fc.property(fc.array(timer, { maxLength: 400 }), (timers) => {
      const clock = new VirtualClock();
      const fired: number[] = [];
      const cancels = timers.map(({ delayMs }, id) => clock.after(delayMs, () => fired.push(id)));
      for (const [id, { cancelled }] of timers.entries()) if (cancelled) cancels[id]?.();
      assert.equal(clock.pending, timers.filter(({ cancelled }) => !cancelled).length);
      clock.advanceTo(20);
      assert.deepEqual(fired, expectedOrder(timers));
      assert.equal(clock.pending, 0);
    }),
  );
});

test('what is set on the way fires on the way, if it is due', () => {
  const clock = new VirtualClock();
  const log: string[] = [];
  clock.after(1, () => {
    log.push('first');
    clock.soon(() => log.push('soon'));
    clock.after(5, () => log.push('later'));
  });
  clock.after(1, () => log.push('second'));
  clock.advanceTo(3);
  assert.deepEqual(log, ['first', 'second', 'soon']);
  assert.equal(clock.nextMs(), 6);
});

test('one step at a time: time stands at the timer that ran', () => {
  const clock = new VirtualClock();
  clock.after(2, () => {});
  const cancel = clock.after(1, () => assert.fail('cancelled'));
  cancel();
  cancel();
  assert.ok(clock.runNext(10));
  assert.equal(clock.nowMs(), 2);
  assert.ok(!clock.runNext(10));
  assert.equal(clock.nowMs(), 10);
});

test('a paused process misses nothing and is late for all of it; an ended one does nothing more', () => {
  const common = new VirtualClock();
  const clock = new ProcessClock(common);
  const log: string[] = [];
  for (const ms of [1, 2, 3]) clock.after(ms, () => log.push(`${ms} at ${common.nowMs()}`));
  clock.pause();
  common.advanceTo(2);
  assert.deepEqual(log, []);
  clock.resume();
  common.advanceTo(2);
  assert.deepEqual(log, ['1 at 2', '2 at 2']);
  clock.end();
  common.advanceTo(10);
  assert.deepEqual(log, ['1 at 2', '2 at 2']);
});

test('settled waits for chains of promises of any length', async () => {
  let done = false;
  const chain = async () => {
    for (let i = 0; i < 1_000; i++) await Promise.resolve();
    done = true;
  };
  void chain();
  await settled();
  assert.ok(done);
});

test('the next turn comes when everything that the one before began has gone on as far as it can', async () => {
  const log: string[] = [];
  let turns = 0;
  await whileSettled(() => {
    turns++;
    const turn = turns;
    void (async () => {
      for (let step = 0; step < 20; step++) await Promise.resolve();
      log.push(`end of ${turn}`);
    })();
    log.push(`turn ${turn}`);
    return turn < 3;
  });
  await settled();
  assert.deepEqual(log, ['turn 1', 'end of 1', 'turn 2', 'end of 2', 'turn 3', 'end of 3']);
  await assert.rejects(
    whileSettled(() => {
      throw new Error('no turn');
    }),
    /no turn/,
  );
});
