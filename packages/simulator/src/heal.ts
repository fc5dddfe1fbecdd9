/**
 * I16 for members: when all faults are over and there are machines enough, every group comes to have six complete members and
 * no change under way, without those who are gone, and nobody who left keeps what it had.
 */
import type { Zone } from '@rokka/kernel';
import { allMembers, changesOf } from '@rokka/quorum';
import type { GroupRecord } from '@rokka/volume';
import type { SimNode } from './sim-node.ts';
import type { World } from './world.ts';

const ZONES = ['a', 'b', 'c'] as Zone[];

/** Puts up as many machines as members are gone for good, beside the spares that can be used. */
export function addMissingMachines(world: World): void {
  const groups = world.oracles.history.volume?.groups ?? [];
  for (const zone of ZONES) {
    const lacks = groups.map((group) => {
      const gone = membersOf(world, group).filter((node) => node.zone === zone && isGone(world, node));
      const able = world.sparesFor(group, zone).filter((node) => node.isUp && !isGone(world, node));
      return gone.length - able.length;
    });
    for (let lack = Math.max(0, ...lacks); lack > 0; lack--) world.addNode(zone);
  }
}

/** What is not as it should be, for people; nothing where all is well. Found one by one: mostly it is asked whether there is any. */
export function* unhealed(world: World): Iterable<string> {
  for (const group of world.oracles.history.volume?.groups ?? []) {
    const { pg, membership, retired } = group;
    const of = (what: string) => `group ${pg}: ${what}`;
    for (const { joins } of changesOf(membership)) yield of(`${joins.node} still joins`);
    for (const node of membersOf(world, group))
      if (isGone(world, node)) yield of(`${node.id} is gone and a member`);
    for (const node of world.nodes)
      if (retired.includes(node.id) && node.isUp && !isGone(world, node))
        yield of(`${node.id} has left and was not told to drop what it has`);
  }
}

function membersOf(world: World, { membership }: GroupRecord): SimNode[] {
  const ids = allMembers(membership).map(({ node }) => node);
  return world.nodes.filter(({ id }) => ids.includes(id));
}

/** It will not be of use any more under its name. */
function isGone(world: World, node: SimNode): boolean {
  // One that finds its log emptied, by a write that went astray, refuses to start for good, whatever else is on its disk.
  const isRefused = node.failure?.code === 'STORAGE_DIRECTORY_EMPTIED';
  const { burnt, givenUp, leaving, disk } = node;
  return burnt || givenUp || leaving || isRefused || disk.doubtful || world.isAnother(node.id);
}
