/** Faults of the network. */
import type { World } from '../world.ts';
import type { Party } from '../schedule.ts';
import type { Actions } from './index.ts';

export const networkActions: Actions<'hold' | 'isolate' | 'reset' | 'late-reset' | 'slow-link'> = {
  /** One direction: frames stay on their way. */
  hold: (world, { from, to, forMs }) => {
    const link = linkOf(world, from, to);
    if (link) world.lasting(forMs, world.weather.hold(...link));
    return link !== undefined;
  },

  'slow-link': (world, { from, to, factor, forMs }) => {
    const link = linkOf(world, from, to);
    if (link) world.lasting(forMs, world.weather.slow(...link, factor));
    return link !== undefined;
  },

  /** What was on its way is lost, and both may connect again at once. */
  reset: (world, { a, b }) => {
    const link = linkOf(world, a, b);
    if (link) world.network.reset(...link);
    return link !== undefined;
  },

  'late-reset': (world, { from, to, lateMs, afterMs }) => {
    const link = linkOf(world, from, to);
    if (!link) return false;
    world.network.lag(...link, lateMs);
    world.lasting(afterMs, () => world.network.giveUp(...link));
    return true;
  },

  /** Cuts nodes off from the newest writer, or from the nodes on the other side, both ways. */
  isolate: (world, { nodes, from, forMs }) => {
    const inside = nodes.map((place) => world.node(place).id);
    const writer = world.writer?.name;
    const others = world.nodes.map(({ id }) => id).filter((id) => !inside.includes(id));
    const outside = from === 'nodes' ? others : writer === undefined ? [] : [writer];
    for (const a of inside) {
      for (const b of outside) {
        world.lasting(forMs, world.weather.hold(a, b));
        world.lasting(forMs, world.weather.hold(b, a));
      }
    }
    return inside.length > 0 && outside.length > 0;
  },
};

function linkOf(world: World, from: Party, to: Party): [string, string] | undefined {
  const a = world.nameOf(from);
  const b = world.nameOf(to);
  return a === undefined || b === undefined || a === b ? undefined : [a, b];
}
