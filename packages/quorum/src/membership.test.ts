/** Transitions of a group's membership: what each allows, what it refuses, and that reads never miss what is durable. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asEpoch, asLsn, isCoded, SeededRandom, type Lsn, type NodeId, type Zone } from '@rokka/kernel';
import * as fc from 'fast-check';
import { minimalSets, satisfied } from './expression.ts';
import { adopted, standardFormulas } from './formulas.ts';
import * as membership from './membership.ts';
import type { Membership, PlacedMember, Standing } from './membership.ts';

/** A to F are the six, two a zone, A, C and E full; G replaces F, H replaces E, I replaces A … */
function placed(node: string, like = node): PlacedMember {
  const place = 'ABCDEF'.indexOf(like);
  return { node: node as NodeId, kind: place % 2 === 0 ? 'full' : 'tail', zone: 'abc'[place >> 1] as Zone };
}
const six = membership.settledMembership(
  asEpoch(1),
  Array.from('ABCDEF').map((node) => placed(node)),
);
const begin = (of: Membership, leaves: string, joins: string, lastLsn = 0): Membership =>
  membership.beginReplacement(of, {
    leaves: leaves as NodeId,
    joins: placed(joins, leaves),
    lastLsn: asLsn(lastLsn),
  });
const finish = (of: Membership, joins: string, standing: Standing) =>
  membership.finishReplacement(of, joins as NodeId, standing);
const revert = (of: Membership, joins: string, standing: Standing) =>
  membership.revertReplacement(of, joins as NodeId, standing);
const names = (of: Membership) =>
  membership
    .allMembers(of)
    .map(({ node }) => node)
    .join('');
const standing = (lsns: Record<string, number>, pgcl: number, lastLsn = pgcl): Standing => ({
  pgcl: asLsn(pgcl),
  lastLsn: asLsn(lastLsn),
  scls: new Map(Object.entries(lsns).map(([member, lsn]) => [member, asLsn(lsn)])),
});
const all = (letters: string, lsn: number) => Object.fromEntries(Array.from(letters).map((m) => [m, lsn]));
const refuses = (code: string, run: () => unknown) => assert.throws(run, (error) => isCoded(error, code));

describe('F is replaced by G', () => {
  const changing = begin(six, 'F', 'G', 10);
  test('both sets are in force, and each step is a new epoch', () => {
    assert.equal(names(changing), 'ABCDEFG');
    assert.equal(changing.epoch, 2);
    const { write } = membership.formulasOf(changing);
    const has = (letters: string) => (member: string) => letters.includes(member);
    assert.ok(satisfied(write, has('ABCD')) && satisfied(write, has('ACE')));
    assert.ok(!satisfied(write, has('ABDF')) && !satisfied(write, has('ABDG')));
    assert.ok(satisfied(write, has('ABDFG')));
  });
  test('G stays when it has what was there when it came, and its set what is durable', () => {
    const done = finish(changing, 'G', standing({ ...all('ABCDE', 20), G: 10 }, 20));
    assert.equal(names(done), 'ABCDEG');
    assert.equal(done.epoch, 3);
    assert.deepEqual(
      membership.formulasOf(done),
      standardFormulas(done.slots.map(({ member }) => ({ ...member, member: member.node }))),
    );
  });
  test('not before', () => {
    refuses('QUORUM_NOT_SETTLED', () => finish(changing, 'G', standing(all('ABCDE', 20), 20)));
    refuses('QUORUM_NOT_SETTLED', () => finish(changing, 'G', standing({ ...all('ABCDE', 20), G: 9 }, 20)));
    refuses('QUORUM_NOT_SETTLED', () =>
      finish(changing, 'G', standing({ ...all('BDEF', 20), A: 9, C: 9, G: 10 }, 20)),
    );
  });
  test('where the group ends below the point at which G came, its end is enough', () => {
    assert.equal(names(finish(changing, 'G', standing(all('ABCDEG', 8), 8))), 'ABCDEG');
  });
  test('it is taken back when F has caught up, or others make up for it', () => {
    assert.equal(names(revert(changing, 'G', standing(all('ABCD', 20), 20))), 'ABCDEF');
    refuses('QUORUM_NOT_SETTLED', () => revert(changing, 'G', standing(all('ABDG', 20), 20)));
  });
});

test('what a replaced member held may go when the six have all that was durable when it left', () => {
  const whole = (of: Membership, lsns: Record<string, number>) =>
    membership.isWhole(of, standing(lsns, 30), asLsn(20));
  assert.equal(whole(six, { ...all('ABCDE', 30), F: 20 }), true, 'others go on meanwhile');
  assert.equal(whole(six, { ...all('ABCDE', 30), F: 19 }), false);
  assert.equal(whole(six, all('ABCDE', 30)), false);
  assert.equal(whole(begin(six, 'F', 'G'), all('ABCDEFG', 30)), false);
});

test('a member may give up what it has when a read quorum of the others has all that is durable', () => {
  const may = (has: string, node = 'A') =>
    membership.canStartOver(six, node as NodeId, standing({ ...all('ABCDEF', 9), ...all(has, 20) }, 20));
  assert.deepEqual([may('BCDEF'), may('BCD'), may('BDE')], [true, true, true]);
  assert.deepEqual([may('ABC'), may('BDF'), may('EF')], [false, false, false], 'B, D and F are tails');
  assert.equal(may('ACE', 'B'), true);
});

test('E fails while F is replaced: four sets, and ABCD meets all of them', () => {
  const four = begin(begin(six, 'F', 'G'), 'E', 'H');
  const { write } = membership.formulasOf(four);
  const dead = minimalSets(write).filter((set) => !set.includes('E') && !set.includes('F'));
  assert.deepEqual(dead[0], ['A', 'B', 'C', 'D']);
  for (const [joins, left] of [
    ['G', 'ABCDEGH'],
    ['H', 'ABCDHFG'],
  ] as const)
    assert.equal(names(finish(four, joins, standing(all('ABCDEFGH', 5), 5))), left);
  assert.equal(names(revert(four, 'H', standing(all('ABCDEF', 5), 5))), 'ABCDEFG');
  refuses('QUORUM_TOO_MANY_CHANGES', () => begin(four, 'A', 'I'));
});

test('what makes no sense is refused by name', () => {
  const joins = (node: string, like: string) => () =>
    membership.beginReplacement(six, {
      leaves: 'F' as NodeId,
      joins: placed(node, like),
      lastLsn: asLsn(0),
    });
  refuses('QUORUM_WRONG_PLACE', joins('G', 'E'));
  refuses('QUORUM_WRONG_PLACE', joins('G', 'D'));
  refuses('QUORUM_ALREADY_MEMBER', joins('A', 'F'));
  refuses('QUORUM_NOT_A_MEMBER', () => begin(six, 'X', 'G'));
  refuses('QUORUM_CHANGE_RUNS', () => begin(begin(six, 'F', 'G'), 'F', 'H'));
  refuses('QUORUM_NO_CHANGE', () => finish(six, 'G', standing({}, 0)));
});

describe('a zone and one more are gone (AZ+1): A, B and C', () => {
  const force = (fenced: string) =>
    membership.forceReplacement(six, {
      leaves: 'C' as NodeId,
      joins: placed('I', 'C'),
      lastLsn: asLsn(7),
      fenced: new Set(fenced),
    });
  const forced = force('DEF');
  test('only a fenced read quorum may do it', () => {
    refuses('QUORUM_NOT_FENCED', () => force('DE'));
    refuses('QUORUM_NOT_FENCED', () => force('BDF'));
  });
  test('with the newcomer the three can write; the half that is away can neither write nor be read', () => {
    const { write, read } = membership.formulasOf(forced);
    assert.ok(satisfied(write, (member) => 'DEFI'.includes(member)));
    assert.ok(!satisfied(write, (member) => 'ABC'.includes(member)));
    assert.ok(!satisfied(read, (member) => 'ABC'.includes(member)));
    assert.ok(satisfied(read, (member) => 'DEF'.includes(member)));
  });
  test('a replacement that had begun becomes a forced one', () => {
    const begun = begin(six, 'C', 'I', 5);
    const { slots } = membership.forceReplacement(begun, {
      leaves: 'C' as NodeId,
      joins: placed('I', 'C'),
      lastLsn: asLsn(7),
      fenced: new Set('DEF'),
    });
    assert.deepEqual(slots[2].candidate, { ...placed('I', 'C'), since: 5, forced: true });
  });
  test('where the newcomer is lost as well another one takes its place, and reads still ask for both', () => {
    const again = membership.forceReplacement(forced, {
      leaves: 'C' as NodeId,
      joins: placed('J', 'C'),
      lastLsn: asLsn(9),
      fenced: new Set('DEF'),
    });
    assert.equal(names(again), 'ABCDEFJI');
    const { write, read } = membership.formulasOf(again);
    assert.ok(satisfied(write, (member) => 'DEFJ'.includes(member)));
    assert.ok(!satisfied(write, (member) => 'DEFI'.includes(member)));
    // What DEFI wrote before is met by every read: without D, E and F there is none.
    assert.ok(satisfied(read, (member) => 'DEF'.includes(member)));
    assert.ok(!satisfied(read, (member) => 'ABCJ'.includes(member)));
    assert.equal(names(finish(again, 'J', standing(all('DEFJ', 9), 9))), 'ABJDEF');
  });
  test('it ends when the newcomer is complete, and is never taken back', () => {
    assert.equal(names(finish(forced, 'I', standing(all('DEFI', 9), 9))), 'ABIDEF');
    refuses('QUORUM_FORCED', () => revert(forced, 'I', standing(all('ABCDEF', 9), 9)));
  });
});

describe('a newcomer and two more are gone: G for F, A and B', () => {
  const begun = begin(six, 'F', 'G', 5);
  const giveUp = (fenced: string) =>
    membership.giveUpReplacement(begun, 'G' as NodeId, { fenced: new Set(fenced) });
  test('without it the four that are left can write, and what they read is what any write left', () => {
    assert.ok(!satisfied(membership.formulasOf(begun).write, (member) => 'CDEF'.includes(member)));
    const next = giveUp('CDEF');
    assert.deepEqual([names(next), next.epoch], ['ABCDEF', begun.epoch + 1]);
    const { write, read } = membership.formulasOf(next);
    assert.ok(satisfied(write, (member) => 'CDEF'.includes(member)));
    adopted({ write, read }, [membership.formulasOf(begun).write]);
  });
  test('they may be a read quorum only without the newcomer, and without another one that is gone', () => {
    const two = begin(begin(six, 'E', 'H', 5), 'F', 'G', 5);
    const { read } = membership.formulasOf(two);
    assert.ok(!satisfied(read, (member) => 'BDEF'.includes(member)), 'E is the only full one left');
    const without = (of: Membership, joins: string) =>
      membership.giveUpReplacement(of, joins as NodeId, { fenced: new Set('BDEF') });
    assert.equal(names(without(without(two, 'G'), 'H')), 'ABCDEF');
    assert.equal(names(without(without(two, 'H'), 'G')), 'ABCDEF');
  });
  test('only a fenced read quorum may do it, and not after it was forced', () => {
    refuses('QUORUM_NOT_FENCED', () => giveUp('CDG'));
    refuses('QUORUM_NO_CHANGE', () =>
      membership.giveUpReplacement(six, 'G' as NodeId, { fenced: new Set('CDEF') }),
    );
    const joins = placed('G', 'F');
    const options = { leaves: 'F' as NodeId, joins, lastLsn: asLsn(7), fenced: new Set('CDE') };
    const forced = membership.forceReplacement(begun, options);
    refuses('QUORUM_FORCED', () =>
      membership.giveUpReplacement(forced, 'G' as NodeId, { fenced: new Set('CDEF') }),
    );
  });
});

/**
 * Members hold prefixes, as SCLs say. Whatever the writer has called durable must be seen by every read quorum that the
 * current membership accepts, though members stop, newcomers start from nothing and changes begin and end at any time.
 */
class Group {
  readonly #random: SeededRandom;
  #current = six;
  #formulas = membership.formulasOf(six);
  readonly #scls = new Map<string, Lsn>(Array.from('ABCDEF').map((member) => [member, asLsn(0)]));
  readonly #stopped = new Set<string>();
  #last = 0;
  #pgcl = 0;
  #names = 0;
  readonly counts = { begun: 0, finished: 0, reverted: 0, refused: 0, durable: 0 };

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  step(): void {
    const nodes = membership.allMembers(this.#current).map(({ node }) => node as string);
    const roll = this.#random.below(10);
    if (roll < 3) this.#last++;
    else if (roll < 6) this.#advance(this.#random.pick(nodes));
    else if (roll < 7) this.#stopOrGo(this.#random.pick(nodes));
    else this.#change();
    this.#acknowledge();
    this.#demandSeen();
  }

  #advance(node: string): void {
    if (this.#stopped.has(node)) return;
    const scl = this.#scls.get(node) ?? 0;
    this.#scls.set(node, asLsn(scl + this.#random.below(this.#last - scl + 1)));
  }

  #stopOrGo(node: string): void {
    if (this.#stopped.has(node)) this.#stopped.delete(node);
    else this.#stopped.add(node);
  }

  #change(): void {
    const changes = membership.changesOf(this.#current);
    try {
      if (changes.length === 0 || this.#random.chance(0.3)) this.#begin();
      else this.#end(this.#random.pick(changes).joins.node);
    } catch (error) {
      assert.ok(isCoded(error), String(error));
      this.counts.refused++;
    }
  }

  #enter(next: Membership): void {
    this.#current = next;
    this.#formulas = membership.formulasOf(next);
  }

  #begin(): void {
    const leaves = this.#random.pick(this.#current.slots).member;
    const joins = { ...leaves, node: `n${++this.#names}` as NodeId };
    const lastLsn = asLsn(this.#last);
    this.#enter(membership.beginReplacement(this.#current, { leaves: leaves.node, joins, lastLsn }));
    this.counts.begun++;
  }

  #end(node: NodeId): void {
    const of = { pgcl: asLsn(this.#pgcl), lastLsn: asLsn(this.#last), scls: this.#scls };
    const finishes = this.#random.chance(0.6);
    this.#enter(
      finishes
        ? membership.finishReplacement(this.#current, node, of)
        : membership.revertReplacement(this.#current, node, of),
    );
    this.counts[finishes ? 'finished' : 'reverted']++;
    // Whoever has left is gone with all that it holds.
    const left = new Set<string>(membership.allMembers(this.#current).map((member) => member.node));
    for (const name of this.#scls.keys()) if (!left.has(name)) this.#scls.delete(name);
  }

  #acknowledge(): void {
    const { write } = this.#formulas;
    for (let lsn = this.#last; lsn > this.#pgcl; lsn--) {
      if (!satisfied(write, (member) => (this.#scls.get(member) ?? -1) >= lsn)) continue;
      this.counts.durable += lsn - this.#pgcl;
      this.#pgcl = lsn;
    }
  }

  #demandSeen(): void {
    const { read } = this.#formulas;
    const blind = (member: string) => (this.#scls.get(member) ?? 0) < this.#pgcl;
    assert.ok(
      this.#pgcl === 0 || !satisfied(read, blind),
      `a read of ${names(this.#current)} may miss LSN ${this.#pgcl}`,
    );
  }
}

test('no read misses what is durable, whatever changes run', () => {
  const total = { begun: 0, finished: 0, reverted: 0, refused: 0, durable: 0 };
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const group = new Group(seed);
      for (let i = 0; i < 150; i++) group.step();
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += group.counts[key];
    }),
    { numRuns: 60 },
  );
  for (const [what, count] of Object.entries(total)) assert.ok(count > 20, `${count} ${what}`);
});
