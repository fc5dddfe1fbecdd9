/** Writers that open the volume, work, are replaced, paused and killed. */
import type { Actions } from './index.ts';

/** One that does nothing in all this time lives on. */
const TORN_WITHIN_MS = 8_000;

export const writerActions: Actions<
  'work' | 'open' | 'kill-writer' | 'kill-writer-within' | 'take-over' | 'pause' | 'registry-away'
> = {
  /** All that are open work, also those that do not know yet that they were replaced. */
  work: (world, { operations, salt }) => {
    const clients = world.livingWriters.flatMap(({ client }) => (client ? [client] : []));
    for (const client of clients) client.work(operations, salt);
    return clients.length > 0;
  },

  open: (world) => {
    world.open();
    return true;
  },

  'kill-writer': (world, { which }) => {
    const living = world.livingWriters;
    const writer = which === 'newest' ? living.at(-1) : living[0];
    writer?.kill();
    return writer !== undefined;
  },

  'kill-writer-within': (world, { next, afterMs, ...where }) => {
    const { writer } = world;
    if (!writer) return false;
    const follow = () => (next === 'open' ? world.open() : world.takeOver());
    writer.killWithin({ ...where, onFell: () => world.clock.after(afterMs, follow) });
    world.lasting(TORN_WITHIN_MS, () => writer.killWithin(undefined));
    return true;
  },

  /** The newest is killed, and another process goes on where it was. */
  'take-over': (world) => world.takeOver() !== undefined,

  'registry-away': (world, { who, fault, forMs }) => {
    const name = who === 'everybody' ? undefined : world.writer?.name;
    if (who === 'writer' && name === undefined) return false;
    world.lasting(forMs, world.registryWeather.away(name, fault));
    return true;
  },

  /** As by SIGSTOP: nothing of it runs, and what it is sent waits for it. */
  pause: (world, { who, forMs }) => {
    const process = who === 'writer' ? world.writer?.process : world.node(who).process;
    if (!process) return false;
    process.hold('paused');
    world.lasting(forMs, () => process.release('paused'));
    return true;
  },
};
