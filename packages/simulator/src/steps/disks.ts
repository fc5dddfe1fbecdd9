/** Faults of disks. Those that spoil what was acknowledged are taken from the atlas's budget, or do not happen. */
import { between, stream } from '../seeds.ts';
import type { Actions } from './index.ts';
import { mayStop, startLater } from './nodes.ts';

const PATHS = { log: '.log', pages: '.pages', table: '.table' } as const;
const START_AGAIN_MS = 300;

export const diskActions: Actions<'slow-disk' | 'failing-disk' | 'rot' | 'trap' | 'wipe'> = {
  'slow-disk': (world, { node: place, syncMsMax, forMs }) => {
    const { disk } = world.node(place);
    disk.syncMsMax = syncMsMax;
    world.lasting(forMs, () => (disk.syncMsMax = 0));
    return true;
  },

  /** Full, or broken: then the node ends by itself, and is started again when the disk is well. */
  'failing-disk': (world, { node: place, failing, forMs }) => {
    const node = world.node(place);
    if (!mayStop(node)) return false;
    node.disk.failing = failing;
    world.lasting(forMs, () => {
      node.disk.failing = 'none';
      node.start();
    });
    return true;
  },

  /** Bits flip at rest, where the node has a way to notice. */
  rot: (world, { node: place, where, salt }) => {
    const node = world.node(place);
    const { disk } = node;
    const random = stream(salt, 'rot');
    const files = disk.filesLike(PATHS[where]);
    if (files.length === 0) return false;
    const path = random.pick(files);
    const at = random.below(disk.sizeOf(path));
    if (where === 'log' && !disk.isNoticeable(path, at)) return false;
    if (!world.atlas.lose(node.id)) return false;
    for (let bits = between(random, 1, 4); bits > 0; bits--) disk.rot(path, at, random.below(8));
    return true;
  },

  /** The disk lies about its next write. Not while the node is about to end: it would not notice any more. */
  trap: (world, { node: place, trap }) => {
    const node = world.node(place);
    const { disk } = node;
    if (!node.node || disk.cutAfter || disk.failing !== 'none' || !world.atlas.lose(node.id)) return false;
    disk.trap = trap;
    return true;
  },

  /** Somebody puts in an empty disk and starts the node under the name it had (aurora.md trap 13). */
  wipe: (world, { node: place }) => {
    const node = world.node(place);
    if (node.burnt || !world.atlas.lose(node.id)) return false;
    node.losePower('all', 0);
    node.disk.wipe();
    startLater(world, node, START_AGAIN_MS);
    return true;
  },
};
