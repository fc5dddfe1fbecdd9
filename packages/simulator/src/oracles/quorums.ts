/**
 * The quorum rules of a membership, spelled out by counting: what the oracles compare the real formulas with. Kept as dumb as
 * it can be, and apart from the code that it judges.
 */
import type { NodeId } from '@rokka/kernel';
import type { Membership, PlacedMember } from '@rokka/quorum';

/** Whether the nodes for which `has` answers true may make a write durable: 4 of 6, or all full ones of 3, in every set that counts. */
export function isWriteQuorum(membership: Membership, has: (node: NodeId) => boolean): boolean {
  return setsOf(membership, { withForcedOut: false }).every((set) => isEnough(set, has));
}

function isEnough(set: PlacedMember[], has: (node: NodeId) => boolean): boolean {
  const there = set.filter(({ node }) => has(node));
  return there.length >= 4 || (there.length === 3 && fulls(set) === 3 && fulls(there) === 3);
}

/**
 * Whether what they have is seen by every read: reads ask all sets in force, and in one of them they are a write quorum. Of a
 * newcomer that has nothing yet the set lacks one.
 */
export function isSeenByReads(membership: Membership, has: (node: NodeId) => boolean): boolean {
  return setsOf(membership, { withForcedOut: true }).some((set) => isEnough(set, has));
}

/** Whether they show everything that was ever durable: 3 of 6, a full one among them, in every set in force. */
export function isReadQuorum(membership: Membership, has: (node: NodeId) => boolean): boolean {
  return setsOf(membership, { withForcedOut: true }).every((set) => {
    const there = set.filter(({ node }) => has(node));
    return there.length >= 3 && fulls(there) >= 1;
  });
}

/** Every ack asks for those of the membership in force. */
const sets = {
  all: new WeakMap<Membership, PlacedMember[][]>(),
  counted: new WeakMap<Membership, PlacedMember[][]>(),
};

function setsOf(membership: Membership, options: { withForcedOut: boolean }): PlacedMember[][] {
  const known = options.withForcedOut ? sets.all : sets.counted;
  let found = known.get(membership);
  if (!found) known.set(membership, (found = makeSets(membership, options)));
  return found;
}

/** Each way to choose the member or the candidate for each slot that has both. */
function makeSets({ slots }: Membership, options: { withForcedOut: boolean }): PlacedMember[][] {
  let sets: PlacedMember[][] = [[]];
  for (const { member, candidate } of slots) {
    const choices: PlacedMember[] = candidate ? [candidate] : [member];
    if (candidate && (options.withForcedOut || !candidate.forced)) choices.push(member);
    sets = sets.flatMap((set) => choices.map((choice) => [...set, choice]));
  }
  return sets;
}

function fulls(members: readonly PlacedMember[]): number {
  return members.filter(({ kind }) => kind === 'full').length;
}
