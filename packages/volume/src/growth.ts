/**
 * Makes the segments of a new protection group: at a write quorum before the registry hears of the group, and before any
 * LSN may go there (aurora.md trap 22). Who lacks its segment then is on the group's list of missing ones.
 */
import { isCoded, must, type Clock, type NodeId } from '@rokka/kernel';
import { volumeErrors } from './errors.ts';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import type { NodeLinks } from './node-links.ts';

/** All six if they are there; a write quorum is enough where some have stayed away for so long. */
const STRAGGLERS_MS = 1_000;
const TIMEOUT_MS = 30_000;
const LOOK_AGAIN_MS = 20;
const MEMBERS = 6;
/** Any four are a write quorum of any group. */
const ENOUGH = 4;

export interface GrowthOptions {
  clock: Clock;
  volumeId: string;
  links: NodeLinks;
  /** Makes the segment on a node and fences it. */
  make(link: NodeLink): Promise<void>;
  /** Throws where the volume has ended. */
  demandAlive(): void;
}

/**
 * @returns the nodes that have their segment of the group
 * @throws VOLUME_NO_QUORUM, STORAGE_STALE_EPOCH where another writer has the volume, what `demandAlive` throws
 */
export async function makeSegments(group: Group, options: GrowthOptions): Promise<ReadonlySet<NodeId>> {
  const { clock, volumeId, links, make, demandAlive } = options;
  const made = new Set<NodeId>();
  const busy = new Set<NodeId>();
  let stale: unknown;
  const begin = async (link: NodeLink) => {
    busy.add(link.node);
    try {
      await make(link);
      made.add(link.node);
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (isCoded(error, 'STORAGE_STALE_EPOCH')) stale = error;
    } finally {
      busy.delete(link.node);
    }
  };
  for (const startedMs = clock.nowMs(); ;) {
    demandAlive();
    if (stale) throw stale;
    const waitedMs = clock.nowMs() - startedMs;
    // A copy: who finishes from here on counts as missing, and is found to have its segment when it is fenced.
    if (made.size === MEMBERS || (made.size >= ENOUGH && waitedMs > STRAGGLERS_MS)) return new Set(made);
    if (waitedMs > TIMEOUT_MS)
      throw volumeErrors.VOLUME_NO_QUORUM([volumeId, group.pg, made.size, TIMEOUT_MS]);
    for (const { node } of group.members) {
      const link = must(links.get(node));
      if (link.up && !made.has(node) && !busy.has(node)) void begin(link);
    }
    await clock.sleep(LOOK_AGAIN_MS);
  }
}
