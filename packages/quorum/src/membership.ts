/**
 * Who the members of a protection group are, and how one takes the place of another, without a stall and without consensus
 * on the path of a commit (P18 §4.1). A group has six slots. While a replacement runs, its slot has a candidate beside
 * its member, and every way of choosing one of the two for each such slot is a set in force: F by G gives ABCDEF and
 * ABCDEG, E by H as well gives four sets. Writes and reads must satisfy all of them.
 *
 * Each transition raises the membership epoch by one. Its caller has it decided in the registry by compare-and-set before
 * anybody hears of it, so that one epoch number never means two things (aurora.md trap 16); each can be taken back.
 *
 * Why a change ends safely: while both sets are in force every write satisfies the one that remains. What was written
 * before is brought there by the newcomer, which must be complete up to the point where it joined (trap 17, I11). So
 * when `settles` says yes, everything durable lies on a write quorum of the remaining set, by SCLs, and reads of it miss nothing.
 */
import { assert, mutant, type Epoch, type Lsn, type NodeId, type Zone } from '@rokka/kernel';
import { quorumErrors } from './errors.ts';
import { or, satisfied, satisfyingPoint, type Member } from './expression.ts';
import { adopted, joint, standardFormulas, type MemberKind, type QuorumFormulas } from './formulas.ts';

export interface PlacedMember {
  readonly node: NodeId;
  readonly kind: MemberKind;
  readonly zone: Zone;
}

export interface Candidate extends PlacedMember {
  /** Last LSN of the group when it joined: it must be complete to here before it may stay. */
  readonly since: Lsn;
  /** The member that it replaces no longer counts for writes: see `forceReplacement`. */
  readonly forced?: true;
}

export interface Slot {
  readonly member: PlacedMember;
  /**
   * Candidates that were lost while no write quorum was left, and given up for another one. Writes may have counted them,
   * so reads ask for sets with them until the slot is settled; writes do not.
   */
  readonly past?: readonly PlacedMember[];
  readonly candidate?: Candidate;
}

export interface Membership {
  readonly epoch: Epoch;
  readonly slots: readonly Slot[];
}

/** What the writer knows of the members when it wants to end a replacement. */
export interface Standing {
  readonly pgcl: Lsn;
  /** Last record of the group. */
  readonly lastLsn: Lsn;
  /** SCLs of members that obey and are not hydrating; others are left out. */
  readonly scls: ReadonlyMap<Member, Lsn>;
}

/** More at once than this no quorum survives: with E and F in motion every write takes all of ABCD. */
export const CHANGES_MAX = 2;

/** Six members and no change under way. */
export function settledMembership(epoch: Epoch, members: readonly PlacedMember[]): Membership {
  return { epoch, slots: members.map((member) => ({ member })) };
}

/** Everybody who takes part: the six, then the candidates in the order of their slots, those that were given up last. */
export function allMembers({ slots }: Membership): PlacedMember[] {
  const candidates = slots.flatMap(({ candidate }) => (candidate ? [candidate] : []));
  const past = slots.flatMap((slot) => slot.past ?? []);
  return [...slots.map(({ member }) => member), ...candidates, ...past].map(({ node, kind, zone }) => ({
    node,
    kind,
    zone,
  }));
}

/** The replacements under way. */
export function changesOf({ slots }: Membership): { leaves: PlacedMember; joins: Candidate }[] {
  return slots.flatMap(({ member, candidate }) => (candidate ? [{ leaves: member, joins: candidate }] : []));
}

/** The formulas in force: all sets for reads; for writes all but those with a member that was forced out. */
export function formulasOf(membership: Membership): QuorumFormulas {
  const sets = setsOf(membership, () => true).map(standardFormulas);
  const read = mutant('or-reads') ? or(...sets.map((set) => set.read)) : joint(sets).read;
  const { write } = joint(setsOf(membership, ({ candidate }) => !candidate?.forced).map(standardFormulas));
  return { write, read };
}

/**
 * `joins` is to take the place of `leaves`, which stays a member until the change has ended.
 *
 * @param options.lastLsn last record of the group, allocated or recovered
 * @throws QUORUM_NOT_A_MEMBER, QUORUM_ALREADY_MEMBER, QUORUM_WRONG_PLACE, QUORUM_CHANGE_RUNS, QUORUM_TOO_MANY_CHANGES
 */
export function beginReplacement(
  membership: Membership,
  options: { leaves: NodeId; joins: PlacedMember; lastLsn: Lsn },
): Membership {
  const candidate = demandCandidate(membership, options);
  return transition(membership, options.leaves, (slot) => ({ ...slot, candidate }), { checkWrites: true });
}

/**
 * The same where a write quorum is gone for good and a read quorum is left (AZ+1): from here on the member that is gone
 * does not count for writes. Safe only because every member in `fenced` obeys a new volume epoch and they are a read
 * quorum: each write quorum of the old set has one of them, so no earlier writer can complete a write any more, and
 * whatever one completed before is seen by a read of the old set, which reads still must satisfy. The half that is away
 * can't reopen the volume: whoever opens it asks the registry first, and needs a read quorum of the new set as well.
 *
 * A replacement by `joins` that has begun already becomes a forced one; one by somebody else, who is gone as well, is
 * given up for this one.
 *
 * @throws as `beginReplacement` does; QUORUM_NOT_FENCED
 */
export function forceReplacement(
  membership: Membership,
  options: { leaves: NodeId; joins: PlacedMember; lastLsn: Lsn; fenced: ReadonlySet<Member> },
): Membership {
  demandFenced(membership, options.leaves, options.fenced);
  const slot = membership.slots.find(({ member }) => member.node === options.leaves);
  const begun = slot?.candidate;
  if (begun?.node === options.joins.node && begun.forced)
    throw quorumErrors.QUORUM_CHANGE_RUNS([options.leaves, begun.node]);
  const known = begun?.node === options.joins.node ? begun : undefined;
  const candidate: Candidate = {
    ...(known ?? demandCandidate(membership, options, { instead: true })),
    forced: true,
  };
  const past = begun && !known ? [...(slot?.past ?? []), placedOf(begun)] : slot?.past;
  const next = (before: Slot): Slot => ({ ...before, candidate, ...(past && { past }) });
  return transition(membership, options.leaves, next, { checkWrites: false });
}

/**
 * The newcomer stays, the old member leaves.
 * @throws QUORUM_NO_CHANGE, QUORUM_NOT_SETTLED
 */
export function finishReplacement(membership: Membership, joins: NodeId, standing: Standing): Membership {
  return end(membership, { node: joins, keep: 'candidate', standing });
}

/**
 * The old member stays, the newcomer leaves. A forced change can't be taken back: its old member missed writes.
 * @throws QUORUM_NO_CHANGE, QUORUM_NOT_SETTLED, QUORUM_FORCED
 */
export function revertReplacement(membership: Membership, joins: NodeId, standing: Standing): Membership {
  const { candidate } = slotOfCandidate(membership, joins);
  if (candidate?.forced) throw quorumErrors.QUORUM_FORCED([joins]);
  return end(membership, { node: joins, keep: 'member', standing });
}

/**
 * The old member stays where the newcomer is gone and a quorum with it: without it there may be one. Nobody is asked for what is
 * durable: every write since the newcomer came is one of the set without newcomers as well, and every write before was. So a
 * read quorum of that set sees all of them, whatever the sets with newcomers could tell; and where it obeys a new volume epoch,
 * which the members in `fenced` do, no earlier writer completes another one.
 * @throws QUORUM_NO_CHANGE, QUORUM_FORCED, QUORUM_NOT_FENCED
 */
export function giveUpReplacement(
  membership: Membership,
  joins: NodeId,
  options: { fenced: ReadonlySet<Member> },
): Membership {
  const { member, candidate } = slotOfCandidate(membership, joins);
  if (candidate?.forced) throw quorumErrors.QUORUM_FORCED([joins]);
  const slots = membership.slots.map((slot) => (slot.candidate?.forced ? slot : { member: slot.member }));
  demandFenced({ ...membership, slots }, joins, options.fenced);
  return transition(membership, member.node, () => ({ member }), { checkWrites: true });
}

/**
 * Whether a member whose copy is unknown may give it up and hydrate anew: what is durable lies with a read quorum of the
 * others, so no later step can need what is thrown away.
 */
export function canStartOver(membership: Membership, node: NodeId, { pgcl, scls }: Standing): boolean {
  const holds = (member: Member) => member !== node && (scls.get(member) ?? -1) >= pgcl;
  return satisfied(formulasOf(membership).read, holds);
}

/**
 * Whether what replaced members held may go (P18 §4.1): no change runs, and each of the six has everything up to `since`,
 * which is what was durable when the last of them had left, or later. Later records were never theirs to keep.
 */
export function isWhole(membership: Membership, { scls }: Pick<Standing, 'scls'>, since: Lsn): boolean {
  return membership.slots.every(
    ({ member, candidate }) => candidate === undefined && (scls.get(member.node) ?? -1) >= since,
  );
}

function end(
  membership: Membership,
  of: { node: NodeId; keep: 'member' | 'candidate'; standing: Standing },
): Membership {
  const { node, keep, standing } = of;
  const { member, candidate } = slotOfCandidate(membership, node);
  assert(candidate, 'a slot without a candidate');
  const { pgcl, lastLsn, scls } = standing;
  const { kind, zone } = candidate;
  const kept = keep === 'candidate' ? { node, kind, zone } : member;
  if (keep === 'candidate' && !mutant('finish-unchecked')) {
    const needed = Math.min(candidate.since, lastLsn) as Lsn;
    if ((scls.get(node) ?? -1) < needed)
      throw quorumErrors.QUORUM_NOT_SETTLED([node, scls.get(node) ?? 0, needed]);
  }
  const next = transition(membership, member.node, () => ({ member: kept }), {
    checkWrites: !candidate.forced,
  });
  // The joint formulas have promised this; it is what the step rests on, so it is looked at once more.
  const point = satisfyingPoint(formulasOf(next).write, scls) ?? (0 as Lsn);
  const unchecked = keep === 'candidate' && mutant('finish-unchecked');
  if (point < pgcl && !unchecked) throw quorumErrors.QUORUM_NOT_SETTLED([kept.node, point, pgcl]);
  return next;
}

/** The next membership, its formulas checked against each other and against those in force. */
function transition(
  membership: Membership,
  node: NodeId,
  change: (slot: Slot) => Slot,
  options: { checkWrites: boolean },
): Membership {
  const slots = membership.slots.map((slot) => (slot.member.node === node ? change(slot) : slot));
  const next = { epoch: (membership.epoch + 1) as Epoch, slots };
  if (mutant('or-reads')) return next;
  const { write } = formulasOf(membership);
  const formulas = adopted(formulasOf(next));
  // A forced step keeps old writers out by its fence; that its reads see what they wrote must hold all the same.
  if (options.checkWrites) adopted(formulas, [write]);
  else adopted({ read: formulas.read, write }, []);
  return next;
}

function demandCandidate(
  membership: Membership,
  options: { leaves: NodeId; joins: PlacedMember; lastLsn: Lsn },
  how: { instead: boolean } = { instead: false },
): Candidate {
  const { leaves, joins, lastLsn } = options;
  const slot = membership.slots.find(({ member }) => member.node === leaves);
  if (!slot) throw quorumErrors.QUORUM_NOT_A_MEMBER([leaves]);
  if (slot.candidate && !how.instead) throw quorumErrors.QUORUM_CHANGE_RUNS([leaves, slot.candidate.node]);
  if (allMembers(membership).some(({ node }) => node === joins.node))
    throw quorumErrors.QUORUM_ALREADY_MEMBER([joins.node]);
  const { kind, zone } = slot.member;
  // Trap 21: anywhere else, or as another kind, it would make one zone's loss more than the quorum allows for.
  if ((joins.kind !== kind || joins.zone !== zone) && !mutant('any-place'))
    throw quorumErrors.QUORUM_WRONG_PLACE([joins.node, joins.kind, joins.zone, leaves, kind, zone]);
  if (!slot.candidate && changesOf(membership).length >= CHANGES_MAX)
    throw quorumErrors.QUORUM_TOO_MANY_CHANGES([leaves, CHANGES_MAX]);
  return { ...placedOf(joins), since: lastLsn };
}

/** @throws QUORUM_NOT_FENCED */
function demandFenced(membership: Membership, leaves: NodeId, fenced: ReadonlySet<Member>): void {
  const { read } = formulasOf(membership);
  if (!satisfied(read, (member) => fenced.has(member)))
    throw quorumErrors.QUORUM_NOT_FENCED([leaves, [...fenced].join(' ')]);
}

function slotOfCandidate({ slots }: Membership, node: NodeId): Slot {
  const slot = slots.find(({ candidate }) => candidate?.node === node);
  if (!slot) throw quorumErrors.QUORUM_NO_CHANGE([node]);
  return slot;
}

function placedOf({ node, kind, zone }: PlacedMember): PlacedMember {
  return { node, kind, zone };
}

/** Every choice of one for each slot. `keepsOld` says whether those that a slot had before are among the choices. */
function setsOf(
  { slots }: Membership,
  keepsOld: (slot: Slot) => boolean,
): { member: Member; kind: MemberKind }[][] {
  let sets: { member: Member; kind: MemberKind }[][] = [[]];
  for (const slot of slots) {
    const choices = keepsOld(slot) || !slot.candidate ? [slot.member, ...(slot.past ?? [])] : [];
    if (slot.candidate) choices.push(slot.candidate);
    sets = sets.flatMap((set) => choices.map(({ node, kind }) => [...set, { member: node, kind }]));
  }
  return sets;
}
