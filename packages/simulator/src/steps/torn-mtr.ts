/**
 * A writer that dies in the middle of a mini-transaction over several groups: what it had sent for the first of them has begun to
 * arrive, and all that was still on its way is lost. A recovery finds the beginning without the end, and must go back to the end of
 * the one before.
 */
import type { EventOf } from '../events.ts';
import type { World } from '../world.ts';
import type { Actions } from './index.ts';

export const tornMtrActions: Actions<'tear-mtr'> = {
  /** The next one that the newest writer makes, if it makes one in time. */
  'tear-mtr': (world, { forMs, afterMs }) => {
    const { writer } = world;
    if (writer?.state !== 'open') return false;
    let armed = true;
    let first: EventOf<'appended'>['records'][number] | undefined;
    world.events.add({
      appended: ({ writer: name, records }) => {
        if (!armed || first || name !== writer.name) return;
        if (records.some(({ pg }) => pg !== records[0]?.pg)) first = records[0];
      },
      delivered: ({ from, records }) => {
        if (!armed || from !== writer.name || !records.some(({ lsn }) => lsn === first?.lsn)) return;
        armed = false;
        // Not in the midst of a delivery, but before the next one.
        world.clock.soon(() => tear(world, writer.name, afterMs));
      },
    });
    world.lasting(forMs, () => (armed = false));
    return true;
  },
};

function tear(world: World, name: string, afterMs: number): void {
  const writer = world.livingWriters.find((one) => one.name === name);
  if (!writer) return;
  for (const { id } of world.nodes) world.network.reset(name, id);
  writer.kill();
  world.clock.after(afterMs, () => world.open());
}
