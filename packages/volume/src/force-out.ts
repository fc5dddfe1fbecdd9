/**
 * The way out where a zone and one more are gone, or a newcomer and two more, and the volume is being recovered: what the healer does with a serving
 * volume, without its patience, because nobody is served meanwhile.
 */
import type { Lsn, NodeId } from '@rokka/kernel';
import { HEALING_TIMES, nextHealingStep, type MemberState } from '@rokka/quorum';
import type { Group } from './group.ts';
import type { FleetNode } from './healer.ts';
import type { MembershipChanges } from './membership-changes.ts';
import type { NodeLinks } from './node-links.ts';
import { saysLost } from './refusals.ts';

export interface ForceOutOptions {
  fleet: readonly FleetNode[];
  links: NodeLinks;
  changes: MembershipChanges;
  /** Members that have answered this recovery's fence and are to be believed. */
  known: ReadonlySet<string>;
  /** Nodes that were replaced in the group and may still hold what they had. */
  retired: readonly NodeId[];
  /** Last record of the group that is kept. */
  lastLsn: Lsn;
}

/** Answers whether the group has another membership now. @throws QUORUM_NOT_FENCED, VOLUME_INTERRUPTED */
export async function forceOut(group: Group, options: ForceOutOptions): Promise<boolean> {
  const { fleet, links, changes, known, lastLsn, retired } = options;
  const answers = (node: NodeId) => links.to(node).up;
  const state = (node: NodeId): MemberState => {
    if (known.has(node)) return 'well';
    // One that is there and cannot be believed yet may heal; what it held may also be gone for good.
    return answers(node) && !saysLost(group.unfencedReasons.get(node)) ? 'behind' : 'lost';
  };
  const step = nextHealingStep(
    {
      membership: group.roster.membership,
      members: new Map(
        group.members.map(({ node }) => [node, { state: state(node), forMs: 0, leaving: false }]),
      ),
      spares: fleet.filter(({ node, leaving }) => answers(node) && !leaving && !retired.includes(node)),
      blockedForMs: HEALING_TIMES.blockedMs,
    },
    HEALING_TIMES,
  );
  if (step?.kind === 'force') await changes.forceInRecovery(group, { ...step, lastLsn, fenced: known });
  else if (step?.kind === 'give-up') await changes.giveUpInRecovery(group, step.newcomer, known);
  else return false;
  return true;
}
