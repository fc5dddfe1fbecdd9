/** Every machine-checked claim about quorum sets (aurora.md §8 and §9), counterexamples included. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { and, atLeast, minimalSets, or, overlaps, satisfied, type QuorumExpression } from './expression.ts';
import { adopted, joint, standardFormulas, type QuorumFormulas } from './formulas.ts';

const of = (count: number, letters: string) => atLeast(count, Array.from(letters));
const plain = (letters: string): QuorumFormulas => ({ write: of(4, letters), read: of(3, letters) });
const withFull = (letters: string, full: string): QuorumFormulas => ({
  write: or(of(4, letters), of(3, full)),
  read: and(of(3, letters), of(1, full)),
});
const has = (letters: string) => (member: string) => letters.includes(member);

function meets(first: QuorumExpression, second: QuorumExpression): void {
  assert.deepEqual(overlaps(first, second), { holds: true });
}

/** The two rules do not overlap, and `one` and `other` show it. */
function misses(first: QuorumExpression, second: QuorumExpression, one: string, other: string): void {
  assert.equal(overlaps(first, second).holds, false);
  assert.ok(satisfied(first, has(one)) && satisfied(second, has(other)));
  assert.ok(!Array.from(one).some(has(other)));
}

const e1 = plain('ABCDEF');
const e2 = joint([e1, plain('ABCDEG')]);
const e3 = plain('ABCDEG');
const e2ReadOr = or(e1.read, e3.read);

describe('one replacement, F by G (§8)', () => {
  test('reads that need both sides meet every write, old and new', () => {
    meets(e2.read, e1.write);
    meets(e2.read, e2.write);
    assert.deepEqual(adopted(e2, [e1.write]), e2);
  });
  test('reads that need one side meet new writes and miss old ones', () => {
    meets(e2ReadOr, e2.write);
    misses(e2ReadOr, e1.write, 'ABG', 'CDEF');
  });
  test('the final set misses old writes, so hydration comes before it', () => {
    misses(e3.read, e1.write, 'ABG', 'CDEF');
    meets(e3.read, e2.write);
    assert.throws(
      () => adopted(e3, [e1.write]),
      (error) => isCoded(error, 'QUORUM_NO_OVERLAP'),
    );
    assert.deepEqual(adopted(e3, [e2.write]), e3);
  });
  test('going back is safe: the old read meets joint writes', () => meets(e1.read, e2.write));
  test('writes meet writes even in a direct switch', () => {
    for (const [one, other] of [
      [e1, e2],
      [e2, e3],
      [e1, e3],
    ])
      meets(one.write, other.write);
  });
  test('with F dead a write needs four of ABCDE: the joint state is no more available', () => {
    const sets = minimalSets(e2.write).filter((set) => !set.includes('F'));
    assert.ok(sets.every((set) => set.filter(has('ABCDE')).length >= 4));
    assert.ok(sets.length > 0);
  });
});

describe('two replacements, F by G and E by H (§8)', () => {
  const sets = ['ABCDEF', 'ABCDEG', 'ABCDFH', 'ABCDGH'].map(plain);
  const four = joint(sets);
  const fourReadOr = or(...sets.map(({ read }) => read));
  test('ABCD satisfies all four, and with E and F dead nothing less does', () => {
    assert.ok(satisfied(four.write, has('ABCD')));
    const alive = minimalSets(four.write).filter((set) => set.every(has('ABCDGH')));
    assert.deepEqual(alive, [['A', 'B', 'C', 'D']]);
  });
  test('reads that need all sides meet every earlier write', () => {
    assert.deepEqual(adopted(four, [e1.write, e2.write]), four);
  });
  test('reads that need one side miss earlier writes', () => {
    meets(fourReadOr, four.write);
    misses(fourReadOr, e1.write, 'ABH', 'CDEF');
    misses(fourReadOr, e2.write, 'ABH', 'CDEFG');
  });
  test('any of the four may be the end; with three sets one could not', () => {
    for (const { read } of sets) meets(read, four.write);
    const three = and(...[sets[0], sets[1], sets[3]].map(({ write }) => write));
    misses(of(3, 'ABCDFH'), three, 'AFH', 'BCDEG');
  });
});

describe('a zone away for long, 4 of 6 becomes 3 of 4 (§8)', () => {
  const four: QuorumFormulas = { write: of(3, 'ABCD'), read: of(2, 'ABCD') };
  test('its reads meet its writes, and miss what was written before', () => {
    meets(four.read, four.write);
    misses(four.read, e1.write, 'AB', 'CDEF');
    assert.throws(
      () => adopted(four, [e1.write]),
      (error) => isCoded(error, 'QUORUM_NO_OVERLAP'),
    );
  });
  test('the old read meets writes that satisfy both', () => meets(e1.read, and(e1.write, four.write)));
});

describe('full and tail members (§9)', () => {
  const members = Array.from('ABCDEF').map((member) => ({
    member,
    kind: 'ACE'.includes(member) ? ('full' as const) : ('tail' as const),
  }));
  const formulas = standardFormulas(members);
  test('write 4 of 6 or 3 full, read 3 of 6 and 1 full: both overlaps hold', () => {
    assert.deepEqual(formulas, withFull('ABCDEF', 'ACE'));
    meets(formulas.read, formulas.write);
    meets(formulas.write, formulas.write);
  });
  test('either half of the read alone is not enough', () => {
    misses(of(3, 'ABCDEF'), formulas.write, 'BDF', 'ACE');
    misses(of(1, 'ACE'), formulas.write, 'A', 'BCDE');
  });
  test('all full: 4 of 6 and 3 of 6', () => {
    const full = members.map(({ member }) => ({ member, kind: 'full' as const }));
    assert.deepEqual(standardFormulas(full), e1);
  });
  test('any other mixture is refused', () => {
    for (const wrong of [
      members.slice(1),
      members.map(({ member }) => ({ member, kind: 'tail' as const })),
      members.map((one) => (one.member === 'A' ? { ...one, kind: 'tail' as const } : one)),
    ])
      assert.throws(
        () => standardFormulas(wrong),
        (error) => isCoded(error, 'QUORUM_BAD_GROUP'),
      );
  });
  test('replacing a full member: AND-reads meet all, OR-reads miss old writes', () => {
    const next = withFull('ABCDGF', 'ACG');
    const change = joint([formulas, next]);
    assert.deepEqual(adopted(change, [formulas.write]), change);
    const either = or(formulas.read, next.read);
    meets(either, change.write);
    assert.equal(overlaps(either, formulas.write).holds, false);
  });
  test('one full and one tail a zone keep AZ+1: any zone and one more may go, and reads go on', () => {
    const zones = ['AB', 'CD', 'EF'];
    for (const zone of zones) {
      const rest = Array.from('ABCDEF').filter((member) => !zone.includes(member));
      assert.ok(satisfied(formulas.write, (member) => rest.includes(member)));
      for (const extra of rest)
        assert.ok(satisfied(formulas.read, (member) => rest.includes(member) && member !== extra));
    }
  });
});

describe('fencing (trap 2)', () => {
  test('a read quorum stops old writers, only a write quorum is met by every later reader', () => {
    meets(e1.read, e1.write);
    misses(e1.read, e1.read, 'ABC', 'DEF');
    meets(e1.write, e1.read);
  });
});
