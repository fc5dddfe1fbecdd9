import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled, VirtualClock } from '@rokka/kernel';
import { FREEZE_MS_MAX } from '../../provider.ts';
import { LEASE_MS, Pause } from './pause.ts';

const signal = new AbortController().signal;

async function pass(clock: VirtualClock, ms: number): Promise<void> {
  const untilMs = clock.nowMs() + ms;
  do await settled();
  while (clock.runNext(untilMs));
}

test('a pause is renewed for as long as a freeze may last, and then ends by itself', async () => {
  const clock = new VirtualClock();
  const sent: number[] = [];
  const pause = await Pause.begin({ clock, send: async () => void sent.push(clock.nowMs()) }, signal);
  const begun = clock.nowMs();
  await pass(clock, FREEZE_MS_MAX);
  assert.ok(pause.holds);
  await pass(clock, LEASE_MS);
  assert.ok(!pause.holds);
  assert.ok(sent.every((at) => at - begun < FREEZE_MS_MAX));
});

test('a renewal that is answered after the lease leaves a gap, however many follow', async () => {
  const clock = new VirtualClock();
  let delayMs = 0;
  const pause = await Pause.begin({ clock, send: async () => delayMs > 0 && clock.sleep(delayMs) }, signal);
  delayMs = LEASE_MS;
  await pass(clock, LEASE_MS + 3001);
  delayMs = 0;
  await pass(clock, 1);
  assert.ok(!pause.holds);
});

test('what is stopped is not renewed', async () => {
  const clock = new VirtualClock();
  let sent = 0;
  const pause = await Pause.begin({ clock, send: async () => void (sent += 1) }, signal);
  pause.stop();
  await pass(clock, LEASE_MS);
  assert.equal(sent, 1);
});
