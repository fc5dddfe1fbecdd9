/** What a restore left stopped is looked at when the agent begins and every minute, and complained of once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, settled, VirtualClock } from '@rokka/kernel';
import { LeftStopped } from './left-stopped.ts';

const MINUTE_MS = 60_000;

test('it is tried every minute until it runs, and told when it does not and when it does', async () => {
  const clock = new VirtualClock();
  const answers: (() => Promise<string[]>)[] = [
    () => Promise.reject(new CodedError('DOWN', 'x does not run')),
    () => Promise.reject(new CodedError('DOWN', 'x does not run')),
    () => Promise.resolve(['x']),
  ];
  const log: string[] = [];
  let looks = 0;
  const start = () => {
    looks++;
    return answers.shift()?.() ?? Promise.resolve([]);
  };
  {
    await using _ = LeftStopped.watch({ clock, start, log: (text) => log.push(text) });
    for (let minute = 1; minute <= 4; minute++) {
      await settled();
      assert.equal(looks, minute);
      clock.advanceTo(clock.nowMs() + MINUTE_MS);
    }
    await settled();
  }
  assert.deepEqual(log, ['DOWN: x does not run', 'x was left stopped by a restore, and runs again']);
  assert.equal(clock.pending, 0);
});
