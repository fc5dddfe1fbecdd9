/**
 * The way out where a zone and one more are gone, or a newcomer and two more, and the volume is being recovered: what the healer does with a serving
 * volume, without its patience, because nobody is served meanwhile.
 */
import { isCoded, type Lsn, type NodeId } from '@rokka/kernel';
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
  /** Whether they are a read quorum. */
  isTrusted: boolean;
  /** Last record of the group that is kept. */
  lastLsn: Lsn;
}

/** Answers whether the group has another membership now. @throws VOLUME_INTERRUPTED */
export async function forceOut(group: Group, options: ForceOutOptions): Promise<boolean> {
  const { fleet, links, changes, known, isTrusted, lastLsn, retired } = options;
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
  if (step?.kind === 'give-up') return gaveUp(group, step.newcomer, options);
  if (step?.kind !== 'force' || !isTrusted) return false;
  await changes.forceInRecovery(group, { ...step, lastLsn, fenced: known });
  return true;
}

async function gaveUp(
  group: Group,
  newcomer: NodeId,
  { changes, known }: Pick<ForceOutOptions, 'changes' | 'known'>,
): Promise<boolean> {
  try {
    await changes.giveUpInRecovery(group, newcomer, known);
    return true;
  } catch (error) {
    // Too few have answered yet, also without the newcomer.
    if (isCoded(error, 'QUORUM_NOT_FENCED')) return false;
    throw error;
  }
}
