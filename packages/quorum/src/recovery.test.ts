/** Recovery's decisions and steps, one trap at a time. What no single case shows is in recovery-model.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asEpoch, asLsn, asPgIndex, isCoded, must } from '@rokka/kernel';
import { atLeast } from './expression.ts';
import { joint } from './formulas.ts';
import { LSN_ALLOCATION_LIMIT } from './lsn-allocator.ts';
import type { SegmentAnswer } from './recovery-decision.ts';
import { Recovery } from './recovery.ts';
import type { TruncationRange } from './truncation.ts';

const SIX = Array.from('ABCDEF');
const FORMULAS = { write: atLeast(4, SIX), read: atLeast(3, SIX) };
const EPOCH = 7;
const P0 = asPgIndex(0);
const P1 = asPgIndex(1);

interface Told {
  scl: number;
  vdl?: number;
  tail?: [lsn: number, previous: number, cpl?: boolean][];
  ranges?: readonly TruncationRange[];
  damaged?: boolean;
  epoch?: number;
}

function answer({
  scl,
  vdl = 0,
  tail = [],
  ranges = [],
  damaged = false,
  epoch = EPOCH,
}: Told): SegmentAnswer {
  return {
    volumeEpoch: asEpoch(epoch),
    scl: asLsn(scl),
    vdl: asLsn(vdl),
    ranges,
    damaged,
    tail: tail.map(([lsn, previous, cpl = true]) => ({
      lsn: asLsn(lsn),
      previousVolumeLsn: asLsn(previous),
      cpl,
    })),
  };
}

const range = (volumeEpoch: number, after: number, through: number): TruncationRange => ({
  volumeEpoch: asEpoch(volumeEpoch),
  after: asLsn(after),
  through: asLsn(through),
});

function recovery(groups = 1, allocationLimit = 1000): Recovery {
  return new Recovery({
    volumeEpoch: asEpoch(EPOCH),
    allocationLimit,
    groups: Array.from({ length: groups }, (_, pg) => ({ pg: asPgIndex(pg), formulas: FORMULAS })),
  });
}

function tell(recovery: Recovery, members: string, told: Told, pg = P0): void {
  for (const member of members) recovery.answered(pg, member, answer(told));
}

const code = (expected: string) => (error: unknown) => isCoded(error, expected);

test('nothing is decided before every group has a read quorum of fenced answers (trap 2)', () => {
  const one = recovery(2);
  assert.equal(one.decision(), undefined);
  tell(one, 'ABC', { scl: 0 });
  assert.deepEqual([one.canTrust(P0), one.canTrust(P1)], [true, false]);
  assert.equal(one.decision(), undefined);
  assert.deepEqual(one.waitingFor(), [{ pg: P1, lacks: 'read quorum', members: SIX }]);
  tell(one, 'DEF', { scl: 0 }, P1);
  assert.equal(one.decision()?.vdl, 0);
});

test('an answer from before the fence is refused, one from a newer recovery ends this one (trap 1)', () => {
  const one = recovery();
  assert.throws(() => tell(one, 'A', { scl: 0, epoch: EPOCH - 1 }), code('QUORUM_UNFENCED'));
  assert.throws(() => tell(one, 'A', { scl: 0, epoch: EPOCH + 1 }), code('QUORUM_SUPERSEDED'));
  assert.equal(one.canTrust(P0), false);
});

test('a damaged member is unknown: it counts neither as "has" nor as "has not" (trap 14)', () => {
  const one = recovery();
  tell(one, 'AB', { scl: 0 });
  tell(one, 'C', { scl: 0, damaged: true });
  assert.equal(one.canTrust(P0), false);
  tell(one, 'D', {
    scl: 2,
    tail: [
      [1, 0],
      [2, 1],
    ],
  });
  assert.equal(one.decision()?.vdl, 2);
  assert.deepEqual(one.decision()?.groups.get(P0)?.holders, ['D']);
});

test('what only one member shows is kept, and copied before anything is served (trap 3)', () => {
  const one = recovery();
  tell(one, 'AB', { scl: 1, tail: [[1, 0]] });
  tell(one, 'C', {
    scl: 2,
    tail: [
      [1, 0],
      [2, 1],
    ],
  });
  const { vdl, ranges, range: own, nextLsn } = must(one.decision());
  assert.deepEqual([vdl, own, nextLsn], [2, range(EPOCH, 2, 1002), 1003]);
  assert.equal(one.lastKept(P0), 2);
  assert.equal(
    one.isOutdated(() => true),
    false,
    'nobody has answered a second time',
  );

  tell(one, 'ABD', { scl: 1, ranges });
  assert.deepEqual(one.repairs(), [], 'three clipped members, and none of them has it');
  assert.equal(
    one.isOutdated(() => true),
    true,
  );
  tell(one, 'C', { scl: 2, ranges });
  assert.equal(
    one.isOutdated(() => true),
    false,
  );
  assert.equal(one.canServe(), false);
  assert.throws(() => one.start());
  const missing = { pg: P0, after: asLsn(1), through: asLsn(2), sources: ['C'] };
  assert.deepEqual(
    one.repairs(),
    ['A', 'B', 'D'].map((member) => ({ ...missing, member })),
  );
  tell(one, 'AB', { scl: 2, ranges });
  assert.deepEqual(one.waitingFor(), [{ pg: P0, lacks: 'write quorum', members: ['D', 'E', 'F'] }]);
  tell(one, 'D', { scl: 2, ranges });
  assert.equal(one.canServe(), true);
  assert.deepEqual(one.waitingFor(), []);
  assert.deepEqual(one.start().groups[0], {
    pg: P0,
    lastLsn: 2,
    scls: new Map(Array.from('ABCD', (member) => [member, asLsn(2)])),
  });
});

test('whoever has what is kept counts as a holder, also one that answers after the decision', () => {
  const one = recovery();
  tell(one, 'AB', { scl: 1, tail: [[1, 0]] });
  tell(one, 'C', {
    scl: 2,
    tail: [
      [1, 0],
      [2, 1],
    ],
  });
  const { ranges } = must(one.decision());
  // C is gone for good.
  tell(one, 'AB', { scl: 1, ranges });
  tell(one, 'D', { scl: 2, ranges });
  assert.equal(
    one.isOutdated(() => true),
    false,
  );
  const missing = { pg: P0, after: asLsn(1), through: asLsn(2), sources: ['D'] };
  assert.deepEqual(
    one.repairs(),
    ['A', 'B'].map((member) => ({ ...missing, member })),
  );
  tell(one, 'ABE', { scl: 2, ranges });
  assert.equal(one.canServe(), true);
});

test('who has what is kept, and is gone before it was copied, is waited for no longer than others can decide anew', () => {
  const one = recovery();
  tell(one, 'AB', { scl: 1, tail: [[1, 0]] });
  tell(one, 'C', {
    scl: 2,
    tail: [
      [1, 0],
      [2, 1],
    ],
  });
  const { ranges } = must(one.decision());
  tell(one, 'ABD', { scl: 1, ranges });
  tell(one, 'C', { scl: 2, ranges });
  assert.equal(
    one.isOutdated(() => true),
    false,
  );
  assert.equal(
    one.isOutdated((member) => member !== 'C'),
    true,
  );
  // When four have it, it does not matter who of them is there.
  tell(one, 'ABD', { scl: 2, ranges });
  assert.equal(
    one.isOutdated(() => false),
    false,
  );
});

test('where no answer showed the last kept record and its holders are gone, a read quorum with the range shows it', () => {
  const one = recovery(2);
  // A holds 104 as well, and does not list it: it was told that 104 is durable.
  tell(one, 'A', { scl: 105, vdl: 104, tail: [[105, 104]], ranges: [range(6, 104, 1104)] });
  tell(one, 'BC', { scl: 90, vdl: 90 });
  tell(one, 'ABC', { scl: 100, vdl: 100 }, P1);
  const { ranges, groups } = must(one.decision());
  assert.deepEqual([groups.get(P0)?.holders, groups.get(P0)?.lastKept], [['A'], undefined]);
  assert.deepEqual(one.waitingFor()[0], { pg: P0, lacks: 'last kept record', members: ['A'] });
  tell(one, 'BC', { scl: 90, vdl: 90, ranges });
  assert.equal(one.lastKept(P0), undefined);
  tell(one, 'D', { scl: 103, vdl: 103, ranges });
  assert.equal(one.lastKept(P0), 103);
  assert.deepEqual(one.repairs()[0]?.sources, ['D']);
});

test('the range must be durable on a write quorum as well; having the records is not enough (trap 6)', () => {
  const one = recovery();
  tell(one, 'ABCDEF', { scl: 1, tail: [[1, 0]] });
  const { ranges } = must(one.decision());
  tell(one, 'ABC', { scl: 1, ranges });
  assert.equal(one.canServe(), false);
  tell(one, 'F', { scl: 1, ranges });
  assert.equal(one.canServe(), true);
});

test('per-record counts would lose what SCLs keep: a record above a hole was never acknowledged (trap 5)', () => {
  // 101 on ABCD, 103 on CDEF: only C and D have the chain to 103, so its writer never announced it.
  const one = recovery();
  tell(one, 'AB', { scl: 101, vdl: 99, tail: [[101, 99]] });
  tell(one, 'E', { scl: 99, vdl: 99 });
  assert.equal(one.decision()?.vdl, 101);
});

test('a record lost everywhere shows as a link that leads nowhere (trap 4)', () => {
  const one = recovery(2);
  tell(one, 'ABC', {
    scl: 14,
    vdl: 10,
    tail: [
      [11, 10],
      [14, 13],
    ],
  });
  tell(one, 'ABC', { scl: 12, vdl: 10, tail: [[12, 11]] }, P1);
  const { vcl, vdl, groups } = must(one.decision());
  assert.deepEqual([vcl, vdl], [12, 12]);
  assert.deepEqual([groups.get(P0)?.pgcl, groups.get(P1)?.pgcl], [14, 12]);
});

test('the walk starts at the highest VDL that anybody was told, in whichever group', () => {
  const one = recovery(2);
  tell(one, 'ABC', { scl: 9, vdl: 5, tail: [[9, 8]] });
  tell(one, 'AB', { scl: 0 }, P1);
  tell(one, 'C', { scl: 8, vdl: 8 }, P1);
  assert.deepEqual([one.decision()?.vcl, one.decision()?.vdl], [9, 9]);
});

test('a mini-transaction that is not whole is annulled', () => {
  const one = recovery();
  tell(one, 'ABC', {
    scl: 3,
    tail: [
      [1, 0],
      [2, 1, false],
      [3, 2, false],
    ],
  });
  const { vcl, vdl, range: own } = must(one.decision());
  assert.deepEqual([vcl, vdl, own.after], [3, 1, 1]);
});

test('the volume chain is followed across an older truncation, where LSNs jump', () => {
  const one = recovery();
  const ranges = [range(6, 2, 1002)];
  tell(one, 'AB', {
    scl: 1004,
    ranges,
    tail: [
      [1, 0],
      [2, 1],
      [1003, 2],
      [1004, 1003],
    ],
  });
  // A member that slept through that recovery still has what it annulled.
  tell(one, 'C', {
    scl: 4,
    tail: [
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 3],
    ],
  });
  const decision = must(one.decision());
  assert.equal(decision.vdl, 1004);
  assert.deepEqual(decision.ranges, [range(6, 2, 1002), range(EPOCH, 1004, 2004)]);
  assert.deepEqual(decision.groups.get(P0)?.holders, ['A', 'B']);
});

test('where the range cuts all of a tail, the last kept record comes from the clipped answer (trap 8)', () => {
  const one = recovery(2);
  tell(one, 'ABC', { scl: 105, vdl: 100, tail: [[105, 104]] });
  tell(one, 'ABC', { scl: 100, vdl: 100 }, P1);
  const { vdl, ranges, groups } = must(one.decision());
  assert.equal(vdl, 100);
  assert.deepEqual(groups.get(P0)?.holders, ['A', 'B', 'C']);
  tell(one, 'A', { scl: 90, vdl: 100, ranges });
  assert.equal(one.lastKept(P0), 90);
});

test('an end inside an older range says only that everything below the range is there', () => {
  // Told the new VDL before the truncation reached it, and nothing was written to this group since.
  const one = recovery();
  const ranges = [range(6, 100, 1100)];
  tell(one, 'A', { scl: 105, vdl: 1102 });
  tell(one, 'BC', { scl: 90, vdl: 1102, ranges });
  const decision = must(one.decision());
  assert.equal(decision.groups.get(P0)?.pgcl, 100);
  assert.equal(decision.vdl, 1102);
});

test('a second recovery knows the range of one that was cut off, and reaches beyond it (trap 10)', () => {
  const one = recovery();
  tell(one, 'A', { scl: 5, vdl: 5, ranges: [range(6, 5, 1005)] });
  tell(one, 'BC', { scl: 6, vdl: 5, tail: [[6, 5]] });
  const { vdl, range: own, ranges } = must(one.decision());
  assert.equal(vdl, 5, 'what the range annuls is not brought back');
  assert.deepEqual(own, range(EPOCH, 5, 2005));
  assert.equal(ranges.length, 2);
});

test('ranges that the registry knows count though no member that answered does', () => {
  const one = new Recovery({
    volumeEpoch: asEpoch(EPOCH),
    groups: [{ pg: P0, formulas: FORMULAS }],
    ranges: [range(6, 5, 1005)],
  });
  tell(one, 'ABC', { scl: 6, vdl: 5, tail: [[6, 5]] });
  assert.deepEqual(one.decision()?.range, range(EPOCH, 5, 1005 + LSN_ALLOCATION_LIMIT));
});

test('recovery works where the writer stood at exactly VDL + limit (trap 29)', () => {
  const limit = 500;
  const one = recovery(1, limit);
  const tail = Array.from({ length: limit }, (_, i): [number, number, boolean] => [101 + i, 100 + i, false]);
  tell(one, 'ABC', { scl: 100 + limit, vdl: 100, tail });
  const { vcl, vdl, range: own, nextLsn } = must(one.decision());
  assert.deepEqual([vcl, vdl, own.through, nextLsn], [600, 100, 600, 601]);
});

test('the decision is made once; late answers do not change it, and one that disproves it is an alarm', () => {
  const one = recovery();
  tell(one, 'ABC', { scl: 1, tail: [[1, 0]] });
  const decision = one.decision();
  tell(one, 'D', {
    scl: 2,
    tail: [
      [1, 0],
      [2, 1],
    ],
  });
  assert.equal(one.decision(), decision);
  assert.throws(() => tell(one, 'E', { scl: 2, vdl: 2 }), code('QUORUM_LOST_WRITES'));
  assert.throws(
    () => tell(one, 'D', { scl: 2, ranges: must(decision).ranges }),
    code('QUORUM_IMPOSSIBLE_SCL'),
  );
});

test('two histories under one LSN stop recovery: choosing would destroy one of them', () => {
  for (const other of [
    [2, 0, true],
    [2, 1, false],
  ] as [number, number, boolean][]) {
    const one = recovery();
    tell(one, 'AB', {
      scl: 2,
      tail: [
        [1, 0],
        [2, 1],
      ],
    });
    tell(one, 'C', { scl: 2, tail: [[1, 0], other] });
    assert.throws(() => one.decision(), code('QUORUM_SPLIT_HISTORY'));
  }
});

test('a tail that is no chain is refused: a record that follows an annulled one cannot be kept', () => {
  const one = recovery();
  const ranges = [range(6, 4, 1004)];
  tell(one, 'AB', { scl: 1005, vdl: 4, ranges, tail: [[1005, 4]] });
  tell(one, 'C', {
    scl: 1005,
    vdl: 4,
    tail: [
      [7, 6],
      [1005, 4],
    ],
  });
  assert.throws(() => one.decision(), code('QUORUM_BAD_TAIL'));
});

test('a range over what was told to be durable stops recovery', () => {
  const one = recovery();
  tell(one, 'AB', { scl: 9, vdl: 9 });
  tell(one, 'C', { scl: 5, vdl: 5, ranges: [range(6, 5, 1005)] });
  assert.throws(() => one.decision(), code('QUORUM_RANGE_BELOW_DURABLE'));
});

test('in a joint membership both sides must answer (trap 18)', () => {
  const next = Array.from('ABCDEG');
  const formulas = joint([FORMULAS, { write: atLeast(4, next), read: atLeast(3, next) }]);
  const one = new Recovery({ volumeEpoch: asEpoch(EPOCH), groups: [{ pg: P0, formulas }] });
  tell(one, 'ABG', { scl: 0 });
  assert.equal(one.canTrust(P0), false);
  tell(one, 'C', { scl: 0 });
  assert.equal(one.canTrust(P0), true);
});
