import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { Foreground } from './foreground.ts';
import type { Pages, PagesAnswer } from './messages.ts';
import { PagesServer } from './pages-server.ts';
import type { SegmentStore } from './store.ts';

/** A store each of whose answers takes ten milliseconds. */
class SlowClock extends VirtualClock {
  #workedMs = 0;

  work(ms: number): void {
    this.#workedMs += ms;
  }

  override nowMs(): number {
    return super.nowMs() + this.#workedMs;
  }
}

function server() {
  const clock = new SlowClock();
  const foreground = new Foreground(clock);
  const answer = { coalesced: 0, nextPage: 1, pages: [] } as unknown as PagesAnswer;
  const pages = () => (clock.work(10), answer);
  const served: number[] = [];
  const one = new PagesServer({ pages, foreground } as unknown as SegmentStore, clock);
  const ask = () => one.serve({} as Pages, { answer: () => served.push(clock.nowMs()), refuse: assert.fail });
  return { clock, foreground, served, one, ask };
}

test('copies are served without a rest while nobody else wants anything', () => {
  const { clock, served, ask } = server();
  for (let i = 0; i < 5; i++) ask();
  clock.advanceTo(0);
  assert.deepEqual(served, [10, 20, 30, 40, 50]);
});

test('while ships and reads come, a copy takes a quarter of the time, and gets on', () => {
  const { clock, foreground, served, ask } = server();
  for (let i = 0; i < 5; i++) ask();
  for (let ms = 0; ms <= 200; ms++) {
    foreground.note();
    clock.advanceTo(ms);
  }
  assert.equal(served.length, 5);
  for (const [i, at] of served.entries()) if (i > 0) assert.ok(at - served[i - 1] >= 39, served.join(' '));
  assert.ok(served[4] <= 200);
});

test('a rest has an end, however long an answer took', () => {
  const clock = new SlowClock();
  const foreground = new Foreground(clock);
  foreground.note();
  const startedMs = clock.nowMs();
  clock.work(10_000);
  assert.equal(foreground.restMs(startedMs), 50);
  assert.equal(foreground.restMs(clock.nowMs() - 100), 0, 'the last ship is long ago');
});

test('who asks for more than can wait is refused, and the others are served', () => {
  const { clock, served, ask } = server();
  for (let i = 0; i < 64; i++) ask();
  assert.throws(ask, { code: 'STORAGE_BUSY' });
  clock.advanceTo(0);
  assert.equal(served.length, 64);
  ask();
});
