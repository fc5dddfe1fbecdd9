/** Runs what waits on a virtual clock. */
import { setImmediate } from 'node:timers/promises';
import { assert, type VirtualClock } from '@rokka/kernel';

/** The outcome of `work`, moving the clock to its next timer whenever nothing else can go on. */
export async function onVirtualTime<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let settled = false;
  const settle = () => void (settled = true);
  work.then(settle, settle);
  for (;;) {
    await setImmediate();
    if (settled) return work;
    const nextMs = clock.nextMs();
    assert(nextMs !== undefined, 'it waits for something that will never be');
    clock.advanceTo(nextMs);
  }
}
