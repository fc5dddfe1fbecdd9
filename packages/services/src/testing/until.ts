/** Waits for what another process, or the clock, brings about. */
import assert from 'node:assert/strict';
import { systemClock } from '@rokka/kernel';

export async function until(holds: () => Promise<boolean>): Promise<void> {
  const endsAtMs = systemClock.nowMs() + 120_000;
  while (!(await holds())) {
    assert.ok(systemClock.nowMs() < endsAtMs, 'in time');
    await systemClock.sleep(50);
  }
}
