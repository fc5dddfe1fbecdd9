/**
 * The quorum formulas of a protection group. Read/write overlap is what lets recovery see every acknowledged write;
 * write/write overlap is what lets a fence stop an old writer. Nothing is adopted on trust: `adopted` enumerates both.
 */
import { quorumErrors } from './errors.ts';
import { and, atLeast, or, overlaps, type Member, type QuorumExpression } from './expression.ts';

/** A full member holds log and pages, a tail member log only (P18 §4.2). */
export type MemberKind = 'full' | 'tail';

export interface GroupMember {
  readonly member: Member;
  readonly kind: MemberKind;
}

export interface QuorumFormulas {
  readonly write: QuorumExpression;
  /** For recovery and for learning epochs; in normal running a read asks one member (P17 §4.2.3). */
  readonly read: QuorumExpression;
}

/**
 * Three full and three tail members: write 4 of 6 or all 3 full, read 3 of 6 and 1 of 3 full (P18 §4.2). Six full:
 * write 4 of 6, read 3 of 6 (P17 §2.1). Dropping either half of the full/tail read loses writes: three tails miss a
 * write to the three full members, one full member misses a write to the other two and two tails.
 *
 * @throws QUORUM_BAD_GROUP
 */
export function standardFormulas(members: readonly GroupMember[]): QuorumFormulas {
  const all = members.map(({ member }) => member);
  const full = members.filter(({ kind }) => kind === 'full').map(({ member }) => member);
  if (all.length !== 6 || (full.length !== 3 && full.length !== 6))
    throw quorumErrors.QUORUM_BAD_GROUP([full.length, all.length - full.length]);
  if (full.length === 6) return adopted({ write: atLeast(4, all), read: atLeast(3, all) });
  return adopted({
    write: or(atLeast(4, all), atLeast(3, full)),
    read: and(atLeast(3, all), atLeast(1, full)),
  });
}

/**
 * The formulas while a membership changes: every set must agree to a write AND to a read. The AND on reads is not a
 * matter of taste: with OR, as P18 §4.1 prints it, a read of ABG misses what CDEF held before G came.
 */
export function joint(sets: readonly QuorumFormulas[]): QuorumFormulas {
  return { write: and(...sets.map(({ write }) => write)), read: and(...sets.map(({ read }) => read)) };
}

/**
 * The formulas, once every read set is known to meet every write set and any two write sets to meet each other.
 *
 * @param written every write formula that has been in force since the group was last whole (all members complete):
 * the new reads and writes must meet those as well, or data written before the change is missed.
 * @throws QUORUM_NO_OVERLAP with the two sets, QUORUM_TOO_MANY_MEMBERS
 */
export function adopted(formulas: QuorumFormulas, written: readonly QuorumExpression[] = []): QuorumFormulas {
  for (const write of [formulas.write, ...written]) {
    demandOverlap('a read could miss a write', formulas.read, write);
    demandOverlap('two writers could both succeed', formulas.write, write);
  }
  return formulas;
}

function demandOverlap(what: string, first: QuorumExpression, second: QuorumExpression): void {
  const overlap = overlaps(first, second);
  if (!overlap.holds)
    throw quorumErrors.QUORUM_NO_OVERLAP([what, overlap.first.join(' '), overlap.second.join(' ')]);
}
