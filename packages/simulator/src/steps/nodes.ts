/** Storage nodes that lose power, are killed or stopped, and come back after a while. */
import type { SimNode } from '../sim-node.ts';
import type { World } from '../world.ts';
import type { Actions } from './index.ts';

export const nodeActions: Actions<'power-loss' | 'power-loss-within' | 'kill-node' | 'stop-node'> = {
  'power-loss': (world, { node: place, tear, salt, forMs }) => {
    const node = world.node(place);
    if (!node.isUp || !mayStop(node)) return false;
    node.losePower(tear, salt);
    startLater(world, node, forMs);
    return true;
  },

  /** In the middle of what it does next: between a write and its sync, between a rename and the sync of its directory. */
  'power-loss-within': (world, { node: place, tear, salt, forMs, operations }) => {
    const node = world.node(place);
    if (!node.isUp || !mayStop(node)) return false;
    const run = () => {
      world.events.append({ kind: 'fate', who: node.id, what: 'power lost' });
      node.losePower(tear, salt);
      startLater(world, node, forMs);
    };
    node.disk.cutAfter = { operations, run };
    return true;
  },

  /** The page cache survives it. */
  'kill-node': (world, { node: place, forMs }) => {
    const node = world.node(place);
    if (!node.isUp || !mayStop(node)) return false;
    node.kill();
    startLater(world, node, forMs);
    return true;
  },

  'stop-node': (world, { node: place, forMs }) => {
    const node = world.node(place);
    if (!node.node || !mayStop(node)) return false;
    node.stop(() => startLater(world, node, forMs));
    return true;
  },
};

/** A node whose log's end was spoilt unnoticed must write on before it may stop: its next start would lie about it. */
export function mayStop(node: SimNode): boolean {
  return !node.disk.doubtful && node.disk.trap === undefined;
}

/** Somebody starts it again. */
export function startLater(world: World, node: SimNode, forMs: number): void {
  world.lasting(forMs, () => node.start());
}
