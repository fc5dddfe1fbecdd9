import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { FailureLimiter } from './failure-limiter.ts';

test('one source is limited, the others are not, and a minute later it is heard again', () => {
  const clock = new VirtualClock();
  const limiter = new FailureLimiter(clock, { perSource: 3, inAll: 100 });
  for (let i = 0; i < 3; i++) {
    assert.ok(limiter.allows('a'));
    limiter.failed('a');
  }
  assert.ok(!limiter.allows('a'));
  assert.ok(limiter.allows('b'));
  clock.advanceTo(60_000);
  assert.ok(limiter.allows('a'));
});

test('many sources are limited together, and cost bounded memory', () => {
  const clock = new VirtualClock();
  const limiter = new FailureLimiter(clock, { perSource: 3, inAll: 5_000 });
  for (let i = 0; i < 5_000; i++) {
    assert.ok(limiter.allows(`source ${i}`));
    limiter.failed(`source ${i}`);
  }
  assert.ok(!limiter.allows('another'));
});
