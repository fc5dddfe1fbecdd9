/**
 * Makes the segments of a new protection group: at a write quorum before the registry hears of the group, and before any
 * LSN may go there (aurora.md trap 22). Who lacks its segment then is on the group's list of missing ones.
 *
 * A segment counts for as long as the connection lasts on which it was made. A node that went away may have lost it with
 * its disk, and a group that begins with fewer than four is one loss away from nothing.
 */
import { isCoded, must, type Clock, type NodeId } from '@rokka/kernel';
import { volumeErrors } from './errors.ts';
import { demandStore } from './fencing.ts';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import type { NodeLinks } from './node-links.ts';
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
  /** Throws where the volume has ended. */
  demandAlive(): void;
}

/**
 * @returns the nodes that have their segment of the group
 * @throws VOLUME_NO_QUORUM, STORAGE_STALE_EPOCH where another writer has the volume, what `demandAlive` throws
 */
export async function makeSegments(group: Group, options: GrowthOptions): Promise<ReadonlySet<NodeId>> {
  const { clock, state, links, demandAlive } = options;
  /** By node, the connection on which it made its segment. */
  const made = new Map<NodeId, number>();
  const busy = new Set<NodeId>();
  let stale: unknown;
  const begin = async (link: NodeLink) => {
    busy.add(link.node);
    const { connections } = link;
    try {
      await make(group, link, state);
      made.set(link.node, connections);
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (isCoded(error, 'STORAGE_STALE_EPOCH')) stale = error;
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
    if (having.size === MEMBERS || (having.size >= ENOUGH && waitedMs > STRAGGLERS_MS)) return having;
    if (waitedMs > TIMEOUT_MS)
      throw volumeErrors.VOLUME_NO_QUORUM([state.record.volumeId, group.pg, having.size, TIMEOUT_MS]);
    for (const { node } of group.members) {
      const link = must(links.get(node));
      if (link.up && !having.has(node) && !busy.has(node)) void begin(link);
    }
    await clock.sleep(LOOK_AGAIN_MS);
  }
}

/** Makes the segment on a node and fences it. */
async function make(group: Group, link: NodeLink, state: VolumeState): Promise<void> {
  const { volumeEpoch, truncationRanges } = state.record;
  demandStore(group, link, state);
  await group.createOn(link, volumeEpoch);
  await group.fenceOn(link, volumeEpoch, truncationRanges);
}
