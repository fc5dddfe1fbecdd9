/**
 * Quorum rules as values: "4 of ABCDEF, or 3 of ACE". They are plain JSON, so the registry can hold them, and they are
 * monotone: more members never satisfy less. That is what makes the highest satisfied point a matter of sorting, and
 * what makes overlap a matter of minimal sets.
 *
 * Whether two rules overlap is never argued, it is enumerated: with at most MEMBERS_MAX members that is 1,024 subsets.
 */
import { assert, type Lsn } from '@rokka/kernel';
import { quorumErrors } from './errors.ts';

/** A member's name: a letter in examples, a node's id in life. */
export type Member = string;

export type QuorumExpression =
  | { readonly kind: 'atLeast'; readonly count: number; readonly members: readonly Member[] }
  | { readonly kind: 'and'; readonly parts: readonly QuorumExpression[] }
  | { readonly kind: 'or'; readonly parts: readonly QuorumExpression[] };

export type Overlap = { holds: true } | { holds: false; first: Member[]; second: Member[] };

/** Two changes at once in a group of six make eight; two more are room for a change of formulas on top. */
export const MEMBERS_MAX = 10;

/** In the points given to a compiled rule: nothing is known of that member. It is below every LSN, 0 included. */
export const POINT_UNKNOWN = -1;

/** Satisfied by any `count` of `members`. */
export function atLeast(count: number, members: readonly Member[]): QuorumExpression {
  assert(
    count >= 1 && count <= members.length,
    () => `${count} of ${members.length} members is no quorum rule`,
  );
  assert(new Set(members).size === members.length, () => `a member twice in ${members.join(' ')}`);
  return { kind: 'atLeast', count, members };
}

/** Satisfied where all of the parts are. */
export function and(...parts: readonly QuorumExpression[]): QuorumExpression {
  return group('and', parts);
}

/** Satisfied where one of the parts is. */
export function or(...parts: readonly QuorumExpression[]): QuorumExpression {
  return group('or', parts);
}

/** Whether the members for which `has` answers true satisfy the rule. */
export function satisfied(expression: QuorumExpression, has: (member: Member) => boolean): boolean {
  if (expression.kind === 'and') return expression.parts.every((part) => satisfied(part, has));
  if (expression.kind === 'or') return expression.parts.some((part) => satisfied(part, has));
  let count = 0;
  for (const member of expression.members) if (has(member)) count++;
  return count >= expression.count;
}

/** Every member that the rule names, once each, in order of first mention. */
export function membersOf(expression: QuorumExpression): Member[] {
  if (expression.kind === 'atLeast') return [...expression.members];
  return [...new Set(expression.parts.flatMap(membersOf))];
}

/**
 * The sets that satisfy the rule and of which no member can be left out.
 *
 * @throws QUORUM_TOO_MANY_MEMBERS
 */
export function minimalSets(expression: QuorumExpression): Member[][] {
  const members = membersOf(expression);
  return minimalMasks(truthTable(expression, members)).map((mask) => named(mask, members));
}

/**
 * Whether every set that satisfies `first` shares a member with every set that satisfies `second`; if not, two that
 * do not.
 *
 * @example overlaps(atLeast(3, six), atLeast(3, six)) // { holds: false, first: ['A','B','C'], second: ['D','E','F'] }
 * @throws QUORUM_TOO_MANY_MEMBERS
 */
export function overlaps(first: QuorumExpression, second: QuorumExpression): Overlap {
  const members = membersOf(and(first, second));
  const firstMasks = minimalMasks(truthTable(first, members));
  const secondMasks = minimalMasks(truthTable(second, members));
  for (const one of firstMasks) {
    for (const other of secondMasks) {
      if ((one & other) === 0)
        return { holds: false, first: named(one, members), second: named(other, members) };
    }
  }
  return { holds: true };
}

/**
 * The highest LSN that members at or above it satisfy the rule for; undefined where even all known members together
 * do not. From SCLs and the write rule this is the PGCL (P18 §2.3); the caller keeps it monotone.
 */
export function satisfyingPoint(
  expression: QuorumExpression,
  points: ReadonlyMap<Member, Lsn>,
): Lsn | undefined {
  const members = membersOf(expression);
  const values = Float64Array.from(members, (member) => points.get(member) ?? POINT_UNKNOWN);
  const point = compilePoint(expression, members)(values);
  return point === POINT_UNKNOWN ? undefined : (point as Lsn);
}

/**
 * The rule as a function from the members' points, in the order of `members`, to the highest satisfied point or
 * POINT_UNKNOWN. For the path of every ack: it allocates nothing. A rule `k of n` gives the k-th highest point, "and"
 * the lowest of its parts, "or" the highest.
 */
export function compilePoint(
  expression: QuorumExpression,
  members: readonly Member[],
): (points: Float64Array) => number {
  if (expression.kind === 'atLeast') {
    const indexes = Uint16Array.from(expression.members, (member) => {
      const index = members.indexOf(member);
      assert(index >= 0, () => `member ${member} is in the rule and not in the group`);
      return index;
    });
    const highest = new Float64Array(expression.count);
    return (points) => kthHighest(points, indexes, highest);
  }
  const parts = expression.parts.map((part) => compilePoint(part, members));
  const lowest = expression.kind === 'and';
  return (points) => {
    let point = lowest ? Infinity : POINT_UNKNOWN;
    for (const part of parts) {
      const value = part(points);
      if (lowest ? value < point : value > point) point = value;
    }
    return point;
  };
}

/** For people: `4 of {A B C D E F} or 3 of {A C E}`. */
export function describe(expression: QuorumExpression): string {
  if (expression.kind === 'atLeast') return `${expression.count} of {${expression.members.join(' ')}}`;
  const parts = expression.parts.map((part) =>
    part.kind === 'atLeast' ? describe(part) : `(${describe(part)})`,
  );
  return parts.join(` ${expression.kind} `);
}

function group(kind: 'and' | 'or', parts: readonly QuorumExpression[]): QuorumExpression {
  assert(parts.length > 0, () => `"${kind}" of nothing`);
  return parts.length === 1 ? parts[0] : { kind, parts };
}

/** `highest` is scratch space of as many places as the rule asks for; its last is the answer. */
function kthHighest(points: Float64Array, indexes: Uint16Array, highest: Float64Array): number {
  highest.fill(POINT_UNKNOWN);
  const last = highest.length - 1;
  for (const index of indexes) {
    const value = points[index];
    if (value <= highest[last]) continue;
    let at = last;
    for (; at > 0 && highest[at - 1] < value; at--) highest[at] = highest[at - 1];
    highest[at] = value;
  }
  return highest[last];
}

/** For each subset of `members`, as a bit mask, 1 where it satisfies the rule. Adopting a membership asks for dozens of these. */
function truthTable(expression: QuorumExpression, members: readonly Member[]): Uint8Array {
  if (members.length > MEMBERS_MAX) throw quorumErrors.QUORUM_TOO_MANY_MEMBERS([members.length, MEMBERS_MAX]);
  if (expression.kind === 'atLeast') return countTable(expression, members);
  const [table, ...others] = expression.parts.map((part) => truthTable(part, members));
  for (const other of others)
    for (let mask = 0; mask < table.length; mask++)
      table[mask] = expression.kind === 'and' ? table[mask] & other[mask] : table[mask] | other[mask];
  return table;
}

function countTable(
  { count, members: counted }: { count: number; members: readonly Member[] },
  members: readonly Member[],
): Uint8Array {
  let own = 0;
  for (const [index, member] of members.entries()) if (counted.includes(member)) own |= 1 << index;
  const table = new Uint8Array(1 << members.length);
  for (let mask = 0; mask < table.length; mask++) if (bitCount(mask & own) >= count) table[mask] = 1;
  return table;
}

function bitCount(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function minimalMasks(table: Uint8Array): number[] {
  const masks: number[] = [];
  for (let mask = 0; mask < table.length; mask++) {
    if (table[mask] === 1 && isMinimal(table, mask)) masks.push(mask);
  }
  return masks;
}

/** Whether no set of one member less satisfies it: those with fewer still do not either, rules being monotone. */
function isMinimal(table: Uint8Array, mask: number): boolean {
  for (let rest = mask; rest !== 0; rest &= rest - 1) if (table[mask ^ (rest & -rest)] === 1) return false;
  return true;
}

function named(mask: number, members: readonly Member[]): Member[] {
  return members.filter((_, index) => mask & (1 << index));
}
