/** Members that are replaced, drained, lost for good; zones that go; and whoever reads from nodes beside the writer. */
import { isCoded, must, type Epoch, type PgIndex, type Zone } from '@rokka/kernel';
import { changesOf, type Membership, type PlacedMember } from '@rokka/quorum';
import type { GroupRecord, Volume } from '@rokka/volume';
import { peek } from '../peek.ts';
import { stream } from '../seeds.ts';
import type { SimNode } from '../sim-node.ts';
import type { World } from '../world.ts';
import type { Actions } from './index.ts';
import { mayStop, startLater } from './nodes.ts';

const ZONES = ['a', 'b', 'c'] as Zone[];
const NOBODY: Membership = { epoch: 0 as Epoch, slots: [] };

type Steps = ReturnType<Volume['replacement']>;

export const membershipActions: Actions<
  'begin-change' | 'end-change' | 'drain' | 'burn' | 'strike-newcomer' | 'lose-zone' | 'add-node' | 'peek'
> = {
  /** All writers that are open try it, also those that do not know yet that they were replaced. */
  'begin-change': (world, { group, slot, salt, misfit }) => {
    const place = groupAt(world, group);
    const member = place?.membership.slots[slot]?.member;
    if (!place || !member) return false;
    if (misfit) return beginMisfit(world, place, { member, salt });
    const spares = world.sparesFor(place, member.zone);
    if (spares.length === 0) return false;
    const { id: node } = stream(salt, 'spare').pick(spares);
    const joins: PlacedMember = { node, kind: member.kind, zone: member.zone };
    return byHand(world, place.pg, (steps) => steps.begin({ leaves: member.node, joins }));
  },

  /** Ready or not: a change that may not end yet is refused. */
  'end-change': (world, { group, keep, which }) => {
    const place = groupAt(world, group);
    const changes = place ? changesOf(place.membership) : [];
    const change = changes[which % Math.max(1, changes.length)];
    if (!place || !change) return false;
    const { node } = change.joins;
    return byHand(world, place.pg, (steps) =>
      keep === 'newcomer' ? steps.finish(node) : steps.revert(node),
    );
  },

  /** Somebody wants the node empty, and thinks better of it later. */
  drain: (world, { node: place, forMs }) => {
    const node = world.node(place);
    if (node.leaving) return false;
    node.leaving = true;
    world.lasting(forMs, () => (node.leaving = false));
    return true;
  },

  /** The machine and its disk are gone for good; the cluster may be told, or find out. */
  burn: (world, { node: place, isTold }) => burn(world, world.node(place), isTold),

  'strike-newcomer': (world, { group, how, tear, salt, forMs }) => {
    const node = newcomerOf(world, group);
    if (node && (how === 'cut-writer' || how === 'cut-nodes')) return cut(world, node, { how, forMs });
    if (!node || (how !== 'burn' && (!node.isUp || !mayStop(node)))) return false;
    if (how === 'burn') return burn(world, node, false);
    if (how === 'kill') node.kill();
    else node.losePower(tear, salt);
    startLater(world, node, forMs);
    return true;
  },

  /** A zone loses power, and one node more: what is left of a group may be only a read quorum. */
  'lose-zone': (world, { zone, more, tear, salt, forMs }) => {
    const hit = new Set(world.nodes.filter((node) => node.zone === zone));
    if (more !== undefined) hit.add(world.node(more));
    let count = 0;
    for (const node of hit) {
      if (!node.isUp || !mayStop(node)) continue;
      node.losePower(tear, salt + count++);
      startLater(world, node, forMs);
    }
    return count > 0;
  },

  'add-node': (world, { zone }) => {
    world.addNode(zone);
    return true;
  },

  /** Somebody who is no writer asks a node for a page as of an older point: the right page or a refusal. */
  peek: (world, { node: place, page, back }) => {
    const writer = world.writer;
    const node = place === 'newcomer' ? newcomerOf(world, 0) : world.node(place);
    if (writer?.state !== 'open' || !node?.isUp) return false;
    void peek(world, { node, writer, page, back }).catch((error: unknown) => {
      if (!isCoded(error)) world.fail(error);
    });
    return true;
  },
};

function beginMisfit(world: World, group: GroupRecord, of: { member: PlacedMember; salt: number }): boolean {
  const { node: leaves, zone, kind } = of.member;
  const random = stream(of.salt, 'misfit');
  const isElsewhere = random.chance(0.7);
  const spares = ZONES.filter((other) => (other !== zone) === isElsewhere).flatMap((other) =>
    world.sparesFor(group, other),
  );
  if (spares.length === 0) return false;
  const spare = random.pick(spares);
  const joins: PlacedMember = {
    node: spare.id,
    zone: spare.zone,
    kind: isElsewhere ? kind : kind === 'full' ? 'tail' : 'full',
  };
  return byHand(world, group.pg, (steps) => steps.begin({ leaves, joins }));
}

/** Has every open writer take the step in its own time: one that is paused takes it when it wakes. */
function byHand(world: World, pg: PgIndex, step: (steps: Steps) => Promise<void>): boolean {
  let asked = false;
  for (const { process, volume } of world.livingWriters) {
    if (!volume || pg >= volume.status().groups.length) continue;
    asked = true;
    process.clock.soon(() => {
      step(volume.replacement(pg)).catch((error: unknown) => {
        // Refused, or the writer has ended; both are answers.
        if (!isCoded(error)) world.fail(error);
      });
    });
  }
  return asked;
}

/** The machine that came last to the group and does not stay for good yet. */
function newcomerOf(world: World, group: number): SimNode | undefined {
  const change = changesOf(groupAt(world, group)?.membership ?? NOBODY).at(-1);
  return change && world.nodes.find(({ id }) => id === change.joins.node);
}

function cut(
  world: World,
  node: SimNode,
  options: { how: 'cut-writer' | 'cut-nodes'; forMs: number },
): boolean {
  const { how, forMs } = options;
  const writers = world.livingWriters.map(({ name }) => name);
  const others = how === 'cut-writer' ? writers : world.nodes.map(({ id }) => id as string);
  for (const other of others.filter((name) => name !== node.id)) {
    world.lasting(forMs, world.weather.hold(node.id, other));
    world.lasting(forMs, world.weather.hold(other, node.id));
  }
  return others.length > 0;
}

function groupAt(world: World, number: number) {
  const groups = world.oracles.history.volume?.groups ?? [];
  return groups.length === 0 ? undefined : must(groups[number % groups.length]);
}

function burn(world: World, node: SimNode, isTold: boolean): boolean {
  if (node.burnt || !world.atlas.lose(node.id)) return false;
  node.burn();
  if (isTold) node.givenUp = true;
  world.events.append({ kind: 'fate', who: node.id, what: 'burnt' });
  return true;
}
