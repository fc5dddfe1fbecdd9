/**
 * When a group's members are replaced, and by whom: one step at a time, from what its writer sees. A replacement begins
 * early, because it costs only copying and can be taken back; it ends when the newcomer holds everything, or when the old
 * member is back before that (P17 §2.3, P18 §4.1).
 *
 * What nobody forces on us happens in one zone at a time: a drain or a slow member waits until all other zones are well, so
 * that the loss of one of them on top costs nothing. A member that is gone is replaced whatever else runs.
 */
import { assert, type NodeId, type Zone } from '@rokka/kernel';
import { allMembers, changesOf, CHANGES_MAX, type Membership, type PlacedMember } from './membership.ts';

/**
 * - `well`: obeys and keeps up;
 * - `behind`: obeys, and lacks records that are durable, or hydrates;
 * - `away`: nobody answers, or it does not obey;
 * - `lost`: it is there and what it held is not.
 */
export type MemberState = 'well' | 'behind' | 'away' | 'lost';

export interface MemberHealth {
  readonly state: MemberState;
  readonly forMs: number;
  /** Its node is to be emptied: somebody wants it so. */
  readonly leaving: boolean;
}

export interface GroupHealth {
  readonly membership: Membership;
  readonly members: ReadonlyMap<NodeId, MemberHealth>;
  /** Nodes that answer, are to stay, and may take a segment; members of this group among them do not matter. */
  readonly spares: readonly { node: NodeId; zone: Zone }[];
  /** How long the members that obey have been no write quorum; 0 where they are one. */
  readonly blockedForMs: number;
}

export interface HealingTimes {
  /** A member that is away for so long is replaced. */
  readonly awayMs: number;
  /** So is one that can't keep up for so long. */
  readonly behindMs: number;
  /** An old member that is well again for so long stays. */
  readonly returnedMs: number;
  /** Without a write quorum for so long, who is gone is forced out. */
  readonly blockedMs: number;
}

export const HEALING_TIMES: HealingTimes = {
  awayMs: 10_000,
  behindMs: 60_000,
  returnedMs: 1_000,
  blockedMs: 15_000,
};

export type HealingStep =
  | { readonly kind: 'begin'; readonly leaves: NodeId; readonly joins: PlacedMember }
  | { readonly kind: 'force'; readonly leaves: NodeId; readonly joins: PlacedMember }
  | { readonly kind: 'finish'; readonly newcomer: NodeId }
  | { readonly kind: 'revert'; readonly newcomer: NodeId }
  | { readonly kind: 'give-up'; readonly newcomer: NodeId };

/** What to do next for the group; undefined where everything is as it should be, or has to wait. */
export function nextHealingStep(health: GroupHealth, times: HealingTimes): HealingStep | undefined {
  if (health.blockedForMs > 0) return wayOutOfBlock(health, times);
  return endOfChange(health, times) ?? beginOfChange(health, times);
}

/**
 * Without a write quorum no ordinary change could be told to one. A newcomer that is gone is given up, which costs nothing and
 * may be all that it takes; then who is gone for good is forced out, one after the other.
 */
function wayOutOfBlock(health: GroupHealth, times: HealingTimes): HealingStep | undefined {
  if (health.blockedForMs < times.blockedMs) return undefined;
  const { membership } = health;
  for (const { leaves, joins } of changesOf(membership)) {
    const isAlone = !joins.forced && !isGone(healthOf(health, leaves.node), times);
    if (isAlone && isGone(healthOf(health, joins.node), times))
      return { kind: 'give-up', newcomer: joins.node };
  }
  const mayBegin = changesOf(membership).length < CHANGES_MAX;
  for (const { member, candidate } of membership.slots) {
    if (!isGone(healthOf(health, member.node), times)) continue;
    const lives = candidate !== undefined && !isGone(healthOf(health, candidate.node), times);
    if (lives && candidate.forced) continue;
    const joins = lives ? candidate : candidate || mayBegin ? spareFor(member, health) : undefined;
    if (!joins) continue;
    const { node, kind, zone } = joins;
    return { kind: 'force', leaves: member.node, joins: { node, kind, zone } };
  }
  return undefined;
}

function endOfChange(health: GroupHealth, times: HealingTimes): HealingStep | undefined {
  for (const { leaves, joins } of changesOf(health.membership)) {
    const old = healthOf(health, leaves.node);
    const newcomer = healthOf(health, joins.node);
    if (newcomer.state === 'well') return { kind: 'finish', newcomer: joins.node };
    if (joins.forced) {
      const other = isGone(newcomer, times) ? spareFor(leaves, health) : undefined;
      if (other) return { kind: 'force', leaves: leaves.node, joins: other };
      continue;
    }
    const returned = old.state === 'well' && !old.leaving && old.forMs >= times.returnedMs;
    // Where the old member is gone as well, and nobody else could come, the newcomer may yet come back with what it has.
    const another = !isGone(old, times) || spareFor(leaves, health) !== undefined;
    if (returned || (isGone(newcomer, times) && another)) return { kind: 'revert', newcomer: joins.node };
  }
  return undefined;
}

function beginOfChange(health: GroupHealth, times: HealingTimes): HealingStep | undefined {
  const { membership } = health;
  if (changesOf(membership).length >= CHANGES_MAX) return undefined;
  const open = membership.slots.filter(({ candidate }) => !candidate).map(({ member }) => member);
  const gone = open.filter(({ node }) => isGone(healthOf(health, node), times));
  // Who lost its data can't come back; who is only away may.
  const isLost = ({ node }: PlacedMember) => Number(stateOf(health, node) === 'lost');
  gone.sort((a, b) => isLost(b) - isLost(a));
  const unwanted = open.filter((member) => isUnwanted(member, health, times));
  for (const leaves of [...gone, ...unwanted]) {
    const joins = spareFor(leaves, health);
    if (joins) return { kind: 'begin', leaves: leaves.node, joins };
  }
  return undefined;
}

/** Leaves by choice, and every other zone of the group is well and at rest. */
function isUnwanted(member: PlacedMember, health: GroupHealth, times: HealingTimes): boolean {
  const { state, forMs, leaving } = healthOf(health, member.node);
  if (!leaving && !(state === 'behind' && forMs >= times.behindMs)) return false;
  const elsewhere = ({ zone }: PlacedMember) => zone !== member.zone;
  const restless = changesOf(health.membership).some(({ leaves }) => elsewhere(leaves));
  const others = allMembers(health.membership).filter(elsewhere);
  return !restless && others.every(({ node }) => stateOf(health, node) === 'well');
}

function isGone({ state, forMs }: MemberHealth, times: HealingTimes): boolean {
  return state === 'lost' || (state === 'away' && forMs >= times.awayMs);
}

function spareFor({ kind, zone }: PlacedMember, health: GroupHealth): PlacedMember | undefined {
  const taken = new Set(allMembers(health.membership).map(({ node }) => node));
  const spare = health.spares.find((one) => one.zone === zone && !taken.has(one.node));
  return spare && { node: spare.node, kind, zone };
}

function stateOf(health: GroupHealth, node: NodeId): MemberState {
  return healthOf(health, node).state;
}

function healthOf({ members }: GroupHealth, node: NodeId): MemberHealth {
  const health = members.get(node);
  assert(health, () => `nothing is known of member ${node}`);
  return health;
}
