/**
 * The protocol with one rule broken, each as somebody once understood it or shipped it. A search that does not find where
 * such a rule leads would not find our own mistakes either. Traps are those that the papers leave to their readers.
 */
import { asLsn, type Lsn } from '@rokka/kernel';
import { and, atLeast, or, type Member } from '../../expression.ts';
import type { QuorumFormulas } from '../../formulas.ts';
import {
  forceReplacement,
  formulasOf,
  finishReplacement,
  revertReplacement,
  type Membership,
  type Standing,
} from '../../membership.ts';
import { isKnown, type SegmentAnswer } from '../../recovery-decision.ts';
import { type Bounds, DEFAULT_BOUNDS } from './bounds.ts';
import { type Invariant, protocol, type Rules } from './rules.ts';

export interface Mutant {
  readonly name: string;
  readonly rules: Rules;
  readonly bounds: Bounds;
  /** The invariant that falls first; none where the rest of the protocol makes up for it. */
  readonly breaks: Invariant | undefined;
}

/** Enough for most: what matters happens between one writer and the recovery after it. */
const BOUNDS: Bounds = { ...DEFAULT_BOUNDS, acks: 'at once', gossip: 'newcomers' };
const NO_CHANGES: Bounds = { ...BOUNDS, changes: 0 };

/** Sets in force, without the full/tail kinds: for groups of six full members. */
function setsOf({ slots }: Membership): Member[][] {
  return slots.reduce<Member[][]>(
    (sets, { member, candidate }) =>
      sets.flatMap((set) => [member, ...(candidate ? [candidate] : [])].map(({ node }) => [...set, node])),
    [[]],
  );
}

/** P18 §4.1 as printed: a read of either set is enough. */
function orReads(membership: Membership): QuorumFormulas {
  const { write } = formulasOf(membership);
  return { write, read: or(...setsOf(membership).map((set) => atLeast(3, set))) };
}

/** Three of six, none of which need be full. */
function anyThree(membership: Membership): QuorumFormulas {
  const { write } = formulasOf(membership);
  return { write, read: and(...setsOf(membership).map((set) => atLeast(3, set))) };
}

/** Once a member was forced out, reads forget it too. */
function forcedReads(membership: Membership): QuorumFormulas {
  const slots = membership.slots.map((slot) => (slot.candidate?.forced ? { member: slot.candidate } : slot));
  const { read, write } = formulasOf({ ...membership, slots });
  // As much as `read`, but every member is named.
  return { write, read: or(read, formulasOf(membership).read) };
}

/** Of which nobody has to have anything. */
function nothingAsked(joins: Member): Standing {
  return { pgcl: asLsn(0), lastLsn: asLsn(0), scls: new Map([[joins, asLsn(0)]]) };
}

/** "Recovery takes the fourth-highest SCL": what fewer than four show is dropped. */
function fourthHighest(answers: ReadonlyMap<Member, SegmentAnswer>): ReadonlyMap<Member, SegmentAnswer> {
  const scls = [...answers.values()].filter(isKnown).map(({ scl }) => scl);
  const fourth = scls.sort((a, b) => b - a)[Math.min(3, scls.length - 1)] ?? asLsn(0);
  return new Map(
    [...answers].map(([member, answer]) => [
      member,
      {
        ...answer,
        scl: Math.min(answer.scl, fourth) as Lsn,
        tail: answer.tail.filter(({ lsn }) => lsn <= fourth),
      },
    ]),
  );
}

export const mutants: readonly Mutant[] = [
  {
    name: 'a read of either set is enough while a member is replaced (P18 §4.1 as printed; trap 18)',
    rules: { ...protocol, formulasOf: orReads },
    bounds: BOUNDS,
    breaks: 'I10',
  },
  {
    name: 'the same, to the recovery that loses the write (trap 18)',
    rules: { ...protocol, formulasOf: orReads, ignored: ['I10'] },
    bounds: BOUNDS,
    breaks: 'I1',
  },
  {
    name: 'the newcomer stays before it has everything (trap 17)',
    rules: {
      ...protocol,
      finish: (of, joins) => finishReplacement(of, joins, nothingAsked(joins)),
      ignored: ['I11'],
    },
    bounds: { ...BOUNDS, openings: 1 },
    breaks: 'I10',
  },
  {
    name: 'a change ends when the rest is a write quorum, the newcomer is not looked at (I11)',
    rules: {
      ...protocol,
      finish: (of, joins, standing) => {
        const scls = new Map([[joins as Member, asLsn(0)], ...standing.scls]);
        return finishReplacement(of, joins, { ...standing, lastLsn: asLsn(0), scls });
      },
    },
    bounds: { ...BOUNDS, openings: 1 },
    breaks: 'I11',
  },
  {
    name: 'a change is taken back without a look at who has what (trap 19)',
    rules: { ...protocol, revert: (of, joins) => revertReplacement(of, joins, nothingAsked(joins)) },
    bounds: { ...BOUNDS, openings: 1 },
    breaks: undefined,
  },
  {
    name: 'membership epoch + 1 without compare-and-set (trap 16)',
    rules: { ...protocol, compareAndSet: false },
    bounds: { ...BOUNDS, records: 0, changes: 2, force: true },
    breaks: 'I9',
  },
  {
    name: 'SCLs are read first, fences come after (trap 1, BookKeeper #2614)',
    rules: { ...protocol, fenceBinds: false },
    bounds: NO_CHANGES,
    breaks: 'I1',
  },
  {
    name: 'the fourth-highest SCL of a recovery (trap 3)',
    rules: { ...protocol, trusted: fourthHighest },
    bounds: NO_CHANGES,
    breaks: 'I1',
  },
  {
    name: 'a volume is served before what it kept is on a write quorum (trap 3)',
    rules: { ...protocol, serveWhen: 'fenced on a write quorum' },
    bounds: NO_CHANGES,
    breaks: 'I10',
  },
  {
    name: 'a volume is served when a read quorum obeys and is whole (trap 2)',
    rules: { ...protocol, serveWhen: 'whole on a read quorum' },
    bounds: NO_CHANGES,
    breaks: 'I10',
  },
  {
    name: 'a member is forced out by a recovery that no read quorum obeys (trap 20)',
    rules: {
      ...protocol,
      force: (of, options) =>
        forceReplacement(of, { ...options, fenced: new Set(of.slots.map(({ member }) => member.node)) }),
    },
    bounds: { ...BOUNDS, force: true },
    breaks: undefined,
  },
  {
    name: 'members that have a record are counted, not SCLs (trap 5)',
    rules: { ...protocol, progress: 'records', ignored: ['I6'] },
    bounds: { ...NO_CHANGES, records: 2, overtaking: true },
    breaks: 'I10',
  },
  {
    name: 'ranges end at the VDL, so LSNs are used again (trap 6)',
    rules: { ...protocol, rangesReach: false },
    bounds: NO_CHANGES,
    breaks: 'I14',
  },
  {
    name: 'records that come after a truncation are not held against it (trap 7)',
    rules: { ...protocol, rangesBind: false },
    bounds: { ...NO_CHANGES, gossip: 'all', lostAnswers: true },
    breaks: 'I2',
  },
  {
    name: 'three tails are a read quorum (§9)',
    rules: { ...protocol, formulasOf: anyThree },
    bounds: { ...NO_CHANGES, group: 'full-tail' },
    breaks: 'I10',
  },
  {
    name: 'once a member was forced out, reads need not satisfy its set (trap 20)',
    rules: { ...protocol, formulasOf: forcedReads },
    bounds: { ...BOUNDS, force: true },
    breaks: 'I10',
  },
  {
    name: 'a newcomer that hydrates answers that it has nothing (trap 17)',
    rules: { ...protocol, hydratingIsUnknown: false },
    bounds: { ...BOUNDS, force: true },
    breaks: undefined,
  },
  {
    name: 'nodes take ships of any membership epoch (trap 15)',
    rules: { ...protocol, membershipBinds: false },
    bounds: { ...BOUNDS, openings: 1, gossip: 'all' },
    breaks: undefined,
  },
];
