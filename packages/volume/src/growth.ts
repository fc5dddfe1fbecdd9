/**
 * Makes a new protection group: where it is placed, and its segments: at a write quorum before the registry hears of the group, and before any
 * LSN may go there (aurora.md trap 22). Who lacks its segment then is on the group's list of missing ones.
 *
 * A segment counts for as long as the connection lasts on which it was made. A node that went away may have lost it with
 * its disk, and a group that begins with fewer than four is one loss away from nothing.
 *
 * What a writer left that died here before its group was in the registry is taken over where it is sound and was made for the
 * same members; else the node makes it anew. A damaged one would stay so for ever where its peers have nothing to fill it from.
 * Where the group came to be without its node, an empty one goes (strays.ts).
 *
 * Where too few are there, the other groups get others in place of those who stay away, and so does this one: it begins anew
 * under a higher membership epoch, so that whoever has a segment from before and is no member any more is told so by its peers.
 */
import { isCoded, must, mutant, type Clock, type CodedError, type NodeId, type PgIndex } from '@rokka/kernel';
import { settledMembership, type Membership } from '@rokka/quorum';
import { volumeErrors } from './errors.ts';
import { demandStore, makeAnew } from './fencing.ts';
import { placeMembers } from './geometry.ts';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import type { NodeLinks } from './node-links.ts';
import { saysLeftOver, saysTakenOver } from './refusals.ts';
import { nextGroupEpoch } from './volume-record.ts';
import type { VolumeState } from './volume-state.ts';

/** All six if they are there; a write quorum is enough where some have stayed away for so long. */
const STRAGGLERS_MS = 1_000;
const TIMEOUT_MS = 30_000;
const LOOK_AGAIN_MS = 20;
const MEMBERS = 6;
/** Any four are a write quorum of any group. */
const ENOUGH = 4;

export interface GrowthOptions {
  clock: Clock;
  state: VolumeState;
  links: NodeLinks;
  group(of: { pg: PgIndex; membership: Membership }): Group;
  /** Throws where the volume has ended. */
  demandAlive(): void;
}

export interface MadeGroup {
  readonly group: Group;
  /** The members that have their segment. */
  readonly made: ReadonlySet<NodeId>;
  /** Nodes that may have one and are no members. */
  readonly left: readonly NodeId[];
}

/**
 * @returns nothing where the registry has the group already: a writer may give up asking, and it may be made all the same
 * @throws VOLUME_NO_QUORUM, STORAGE_STALE_EPOCH or VOLUME_INTERRUPTED where another writer has the volume, what `demandAlive`
 * throws
 */
export async function makeGroup(pg: PgIndex, options: GrowthOptions): Promise<MadeGroup | undefined> {
  const { state } = options;
  const asked = new Set<NodeId>();
  const isThere = () => state.record.groups.length > pg;
  while (!isThere()) {
    const { record } = state;
    const membership = settledMembership(nextGroupEpoch(record), placeMembers(record.nodes, pg, record));
    const group = options.group({ pg, membership });
    // Whoever changes the nodes raises the epoch, in the same write.
    const isOutdated = () => isThere() || nextGroupEpoch(state.record) !== membership.epoch;
    const made = await makeSegments(group, { ...options, asked, isOutdated });
    if (made) return { group, made, left: [...asked].filter((node) => group.placeOf(node) < 0) };
  }
  return undefined;
}

/** @returns nothing where the group is to be placed anew */
async function makeSegments(
  group: Group,
  options: GrowthOptions & { asked: Set<NodeId>; isOutdated(): boolean },
): Promise<ReadonlySet<NodeId> | undefined> {
  const { clock, state, links, demandAlive, asked, isOutdated } = options;
  /** By node, the connection on which it made its segment. */
  const made = new Map<NodeId, number>();
  const busy = new Set<NodeId>();
  let stale: CodedError | undefined;
  const begin = async (link: NodeLink) => {
    busy.add(link.node);
    asked.add(link.node);
    const { connections } = link;
    try {
      await make(group, link, state);
      made.set(link.node, connections);
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (saysTakenOver(error)) stale = error;
    } finally {
      busy.delete(link.node);
    }
  };
  const has = (node: NodeId) => {
    const link = must(links.get(node));
    return link.up && made.get(node) === link.connections;
  };
  for (const startedMs = clock.nowMs(); ;) {
    demandAlive();
    if (stale) throw stale;
    const waitedMs = clock.nowMs() - startedMs;
    const having = new Set(group.members.map(({ node }) => node).filter(has));
    // Who finishes from here on counts as missing, and is found to have its segment when it is fenced.
    if (having.size > 0 && mutant('group-before-quorum')) return having;
    if (having.size === MEMBERS || (having.size >= ENOUGH && waitedMs > STRAGGLERS_MS)) return having;
    const isMoving = isOutdated();
    if (isMoving && busy.size === 0) return undefined;
    if (waitedMs > TIMEOUT_MS)
      throw volumeErrors.VOLUME_NO_QUORUM([state.record.volumeId, group.pg, having.size, TIMEOUT_MS]);
    for (const { node } of group.members) {
      const link = must(links.get(node));
      if (link.up && !isMoving && !having.has(node) && !busy.has(node)) void begin(link);
    }
    await clock.sleep(LOOK_AGAIN_MS);
  }
}

/** Makes the segment on a node and fences it. */
async function make(group: Group, link: NodeLink, state: VolumeState): Promise<void> {
  const { volumeEpoch, truncationRanges } = state.record;
  const isSound = async () => !(await group.fenceOn(link, volumeEpoch, truncationRanges)).damaged;
  demandStore(group, link, state);
  try {
    await group.createOn(link, volumeEpoch);
    if (await isSound()) return;
  } catch (error) {
    if (!saysLeftOver(error)) throw error;
  }
  // It may have taken so long that the group is made without this member, who counts by the registry's word from then on.
  await makeAnew(group, link, { state, isWanted: () => state.record.groups[group.pg] === undefined });
  if (!(await isSound())) throw volumeErrors.VOLUME_SEGMENT_LOST([link.node, group.pg]);
}
