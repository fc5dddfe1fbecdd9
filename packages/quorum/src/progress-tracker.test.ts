import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, asPgIndex, isCoded, SeededRandom, type Lsn, type PgIndex } from '@rokka/kernel';
import * as fc from 'fast-check';
import { atLeast, satisfied, type QuorumExpression } from './expression.ts';
import { joint, standardFormulas } from './formulas.ts';
import { ProgressTracker, type TrackedGroup } from './progress-tracker.ts';

const SIX = Array.from('ABCDEF');
const FULL_TAIL = standardFormulas(
  SIX.map((member) => ({ member, kind: 'ACE'.includes(member) ? 'full' : 'tail' })),
).write;
const P0 = asPgIndex(0);
const P1 = asPgIndex(1);

const group = (pg: PgIndex, write: QuorumExpression = atLeast(4, SIX), lastLsn = 0): TrackedGroup => ({
  pg,
  members: SIX,
  write,
  lastLsn: asLsn(lastLsn),
});

function tracker(...groups: TrackedGroup[]): ProgressTracker {
  return new ProgressTracker({ vdl: asLsn(0), nextLsn: asLsn(1), groups });
}

function ack(tracker: ProgressTracker, pg: PgIndex, members: string, scl: number): boolean {
  let advanced = false;
  for (const member of members)
    advanced = tracker.acknowledged(pg, SIX.indexOf(member), asLsn(scl)) || advanced;
  return advanced;
}

test('what a member has forgotten counts no more; what was durable by its word stays so', () => {
  const progress = tracker(group(P0));
  for (const lsn of [1, 2]) progress.allocated(P0, asLsn(lsn), true);
  ack(progress, P0, 'ABCD', 1);
  ack(progress, P0, 'ABC', 2);
  progress.forgot(P0, 0);
  assert.deepEqual([progress.scl(P0, 0), progress.pgcl(P0), progress.vdl], [undefined, 1, 1]);
  assert.equal(ack(progress, P0, 'D', 2), false, 'three others have it');
  assert.equal(ack(progress, P0, 'A', 2), true);
});

test('the VDL follows whole mini-transactions only', () => {
  const progress = tracker(group(P0));
  progress.allocated(P0, asLsn(1), false);
  progress.allocated(P0, asLsn(2), true);
  progress.allocated(P0, asLsn(3), false);
  assert.equal(ack(progress, P0, 'ABCD', 1), false);
  assert.deepEqual([progress.vcl, progress.vdl], [1, 0]);
  assert.equal(ack(progress, P0, 'ABCD', 3), true);
  assert.deepEqual([progress.vcl, progress.vdl, progress.pgcl(P0)], [3, 2, 3]);
});

test('three full members are a write quorum too, three others are not', () => {
  const progress = tracker(group(P0, FULL_TAIL));
  progress.allocated(P0, asLsn(1), true);
  assert.equal(ack(progress, P0, 'ABD', 1), false);
  assert.equal(ack(progress, P0, 'CE', 1), true);
});

test('an idle group never holds the VCL back (trap 4)', () => {
  const progress = tracker(group(P0), group(P1));
  progress.allocated(P0, asLsn(1), true);
  assert.equal(ack(progress, P0, 'ABCD', 1), true);
  assert.deepEqual([progress.pgcl(P1), progress.vdl], [0, 1]);
});

test('acks that are late, repeated or lower change nothing', () => {
  const progress = tracker(group(P0));
  progress.allocated(P0, asLsn(1), true);
  progress.allocated(P0, asLsn(2), true);
  ack(progress, P0, 'ABCD', 2);
  assert.equal(ack(progress, P0, 'ABCDABCD', 1), false);
  assert.deepEqual([progress.vdl, progress.scl(P0, 0), progress.scl(P0, 4)], [2, 2, undefined]);
});

test('an SCL that the writer never made is refused; a remnant of an earlier life is not', () => {
  const progress = new ProgressTracker({
    vdl: asLsn(100),
    nextLsn: asLsn(1101),
    groups: [group(P0, undefined, 90)],
  });
  assert.equal(ack(progress, P0, 'A', 105), false);
  assert.throws(
    () => ack(progress, P0, 'A', 1101),
    (error) => isCoded(error, 'QUORUM_IMPOSSIBLE_SCL'),
  );
  assert.equal(progress.lastLsn, 100);
  assert.equal(progress.lastLsnOf(P0), 90);
  progress.allocated(P0, asLsn(1101), true);
  assert.equal(ack(progress, P0, 'BCD', 1101), false, 'A is at 105 only');
  assert.equal(ack(progress, P0, 'A', 1101), true);
  assert.deepEqual([progress.vcl, progress.vdl, progress.lastLsn], [1101, 1101, 1101]);
});

test('a read point is translated to the last record of the group at or below it (trap 23)', () => {
  const progress = tracker(group(P0), group(P1));
  for (let lsn = 1; lsn <= 6; lsn++) progress.allocated(lsn % 2 ? P0 : P1, asLsn(lsn), lsn !== 5);
  const at = (pg: PgIndex, lsn: number) => progress.lastLsnAtOrBelow(pg, asLsn(lsn));
  assert.deepEqual([at(P0, 4), at(P1, 4), at(P1, 1), at(P0, 6), at(P1, 6)], [3, 4, 0, 5, 6]);
  ack(progress, P0, 'ABCD', 3);
  ack(progress, P1, 'ABCD', 4);
  assert.equal(progress.vdl, 4);
  assert.deepEqual([at(P0, 4), at(P1, 4), at(P0, 5), at(P1, 5)], [3, 4, 5, 4]);
  assert.equal(at(P0, 2), 3, 'below the VDL the answer is that of the VDL: too high, never too low');
});

test('a membership change keeps SCLs of those who stay, and the PGCL does not fall (trap 17)', () => {
  const progress = tracker(group(P0));
  progress.allocated(P0, asLsn(1), true);
  ack(progress, P0, 'CDEF', 1);
  const next = Array.from('ABCDEG');
  const both = joint([
    { write: atLeast(4, SIX), read: atLeast(3, SIX) },
    { write: atLeast(4, next), read: atLeast(3, next) },
  ]);
  progress.setGroup({ pg: P0, members: [...SIX, 'G'], write: both.write, lastLsn: asLsn(0) });
  assert.deepEqual(
    [progress.pgcl(P0), progress.vdl, progress.scl(P0, 5), progress.scl(P0, 6)],
    [1, 1, 1, undefined],
  );
  progress.allocated(P0, asLsn(2), true);
  assert.equal(ack(progress, P0, 'CDEF', 2), false, 'three of ABCDEG');
  assert.equal(progress.acknowledged(P0, 6, asLsn(2)), true);
});

test('a change of members can itself complete records', () => {
  const progress = tracker(group(P0));
  progress.allocated(P0, asLsn(1), true);
  ack(progress, P0, 'ABC', 1);
  const scls = new Map([['G', asLsn(1)]]);
  const members = Array.from('ABCDEG');
  assert.equal(
    progress.setGroup({ pg: P0, members, write: atLeast(4, members), lastLsn: asLsn(0), scls }),
    true,
  );
});

test('hundreds of thousands of outstanding records complete in whatever order the groups do', () => {
  const progress = tracker(group(P0), group(P1));
  const count = 300_000;
  for (let lsn = 1; lsn <= count; lsn++) progress.allocated(lsn % 3 ? P0 : P1, asLsn(lsn), lsn % 4 === 0);
  ack(progress, P0, 'ABCD', count - 1);
  assert.deepEqual([progress.vcl, progress.vdl], [2, 0]);
  ack(progress, P1, 'CDEF', count);
  assert.deepEqual([progress.vcl, progress.vdl], [count, count]);
});

/** The dumb twin: keeps every record for ever and looks for the points by their definitions. */
class DumbProgress {
  readonly records: { pg: number; lsn: number; cpl: boolean }[] = [];
  readonly scls: number[][];
  readonly #write: QuorumExpression;
  readonly #start: number;

  constructor(options: { groups: number; write: QuorumExpression; start: number }) {
    this.scls = Array.from({ length: options.groups }, () => SIX.map(() => -1));
    this.#write = options.write;
    this.#start = options.start;
  }

  complete(record: { pg: number; lsn: number }): boolean {
    return satisfied(this.#write, (member) => this.scls[record.pg][SIX.indexOf(member)] >= record.lsn);
  }

  vcl(): number {
    const missing = this.records.findIndex((record) => !this.complete(record));
    return (missing < 0 ? this.records : this.records.slice(0, missing)).at(-1)?.lsn ?? this.#start;
  }

  vdl(): number {
    const vcl = this.vcl();
    return this.records.findLast(({ lsn, cpl }) => cpl && lsn <= vcl)?.lsn ?? this.#start;
  }

  last(pg: number, through: number): number {
    return this.records.findLast((record) => record.pg === pg && record.lsn <= through)?.lsn ?? 0;
  }
}

function compare(seed: number): void {
  const random = new SeededRandom(seed);
  const groups = 1 + random.below(4);
  const write = random.chance(0.5) ? FULL_TAIL : atLeast(4, SIX);
  const start = random.pick([0, 1000, 2 ** 32 - 30, 2 ** 40]);
  const progress = new ProgressTracker({
    vdl: asLsn(start),
    nextLsn: asLsn(start + 1),
    groups: Array.from({ length: groups }, (_, pg) => group(asPgIndex(pg), write)),
  });
  const twin = new DumbProgress({ groups, write, start });
  let next = start + 1;
  for (let step = 0; step < 250; step++) {
    const pg = random.below(groups);
    if (random.chance(0.3)) {
      const cpl = random.chance(0.4);
      progress.allocated(asPgIndex(pg), asLsn(next), cpl);
      twin.records.push({ pg, lsn: next++, cpl });
    } else {
      const own = twin.records.filter((record) => record.pg === pg);
      if (own.length === 0) continue;
      const member = random.below(6);
      const scl = random.pick(own.slice(-6)).lsn;
      const before = progress.vdl;
      const advanced = progress.acknowledged(asPgIndex(pg), member, scl as Lsn);
      twin.scls[pg][member] = Math.max(twin.scls[pg][member], scl);
      assert.equal(advanced, progress.vdl > before);
    }
    assert.equal(progress.vcl, twin.vcl());
    assert.equal(progress.vdl, twin.vdl());
    const point = progress.vdl + random.below(next - progress.vdl);
    assert.equal(progress.lastLsnAtOrBelow(asPgIndex(pg), asLsn(point)), twin.last(pg, point));
  }
}

test('VCL, VDL and read points agree with their definitions over random schedules', () => {
  fc.assert(fc.property(fc.integer(), compare), { numRuns: 60 });
});
