/** Faults of the network. */
import type { World } from '../world.ts';
import type { Party } from '../schedule.ts';
import type { Actions } from './index.ts';

export const networkActions: Actions<'hold' | 'isolate' | 'reset' | 'slow-link'> = {
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

  /** What was on its way is lost, or late, and both may connect again at once. */
  reset: (world, { a, b, lateMs }) => {
    const link = linkOf(world, a, b);
    if (link) world.network.reset(...link, lateMs === undefined ? {} : { lateMs });
    return link !== undefined;
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
