/** The members of a protection group as a node compares and names them. Which set is right, the registry decides alone. */
import { isCoded, type Epoch, type NodeId } from '@rokka/kernel';
import type { MemberAddress } from './messages.ts';
import type { Segment } from './segment.ts';

/** Whether two lists mean the same members. Where a node listens is no part of the membership: it may move. */
export function sameMembers(a: readonly MemberAddress[], b: readonly MemberAddress[]): boolean {
  const same = (one: MemberAddress, other: MemberAddress | undefined) =>
    one.node === other?.node && one.zone === other.zone && one.kind === other.kind;
  return a.length === b.length && a.every((member, at) => same(member, b[at]));
}

export function sameAddresses(a: readonly MemberAddress[], b: readonly MemberAddress[]): boolean {
  return a.every(({ address }, at) => address === b[at]?.address);
}

export function includesNode(members: readonly MemberAddress[], node: NodeId): boolean {
  return members.some((member) => member.node === node);
}

/** For messages to people. */
export function nameMembers(members: readonly MemberAddress[]): string {
  return members.map(({ node, kind, zone }) => `${node} (${kind}, zone ${zone})`).join(', ');
}

/**
 * A peer's refusal may be how a node hears that the group goes on without it: a retired member is never fenced again, and
 * it must not ask its former peers for ever.
 */
export function learnRetirement(segment: Segment, refusal: unknown, self: NodeId): void {
  if (!isCoded(refusal, 'STORAGE_STALE_MEMBERSHIP')) return;
  const { membershipEpoch, members } = refusal.detail as { membershipEpoch?: unknown; members?: unknown };
  if (!Number.isSafeInteger(membershipEpoch) || !Array.isArray(members) || members.length === 0) return;
  const names = (members as { node?: unknown }[]).map((member) => member?.node);
  if (!names.includes(self)) segment.learnRetirement(membershipEpoch as Epoch);
}
