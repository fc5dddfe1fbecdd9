/**
 * The examples and rules of the two papers, section by section. P17: Verbitski et al., SIGMOD 2017; P18: SIGMOD 2018.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asEpoch, asLsn, asPgIndex, must, type PgIndex } from '@rokka/kernel';
import { atLeast, overlaps, satisfied } from './expression.ts';
import { adopted, joint, standardFormulas } from './formulas.ts';
import { LSN_ALLOCATION_LIMIT, LsnAllocator } from './lsn-allocator.ts';
import { ProgressTracker } from './progress-tracker.ts';
import { ReadPoints, ReadRouter } from './read-routing.ts';
import { Recovery } from './recovery.ts';
import { SegmentChain } from './segment-chain.ts';

const SIX = Array.from('ABCDEF');
const ALL_FULL = standardFormulas(SIX.map((member) => ({ member, kind: 'full' })));
const FULL_TAIL = standardFormulas(
  SIX.map((member) => ({ member, kind: 'ACE'.includes(member) ? 'full' : 'tail' })),
);
const ZONES = ['AB', 'CD', 'EF'];
const PG1 = asPgIndex(1);
const PG2 = asPgIndex(2);

function writer(options: { vdl: number; groups: PgIndex[] }): ProgressTracker {
  return new ProgressTracker({
    vdl: asLsn(options.vdl),
    nextLsn: asLsn(options.vdl + 1),
    groups: options.groups.map((pg) => ({ pg, members: SIX, write: ALL_FULL.write, lastLsn: asLsn(0) })),
  });
}

function ack(progress: ProgressTracker, pg: PgIndex, scls: Record<string, number>): void {
  for (const [member, scl] of Object.entries(scls))
    progress.acknowledged(pg, SIX.indexOf(member), asLsn(scl));
}

const without = (gone: string) => (member: string) => !gone.includes(member);

describe('P17 §2.1 replication and correlated failures', () => {
  for (const [name, { write, read }] of Object.entries({
    'six full': ALL_FULL,
    'full and tail': FULL_TAIL,
  })) {
    test(`${name}: a zone lost, writes go on; a zone and any one more, reads go on`, () => {
      for (const zone of ZONES) {
        assert.ok(satisfied(write, without(zone)));
        for (const extra of SIX.filter(without(zone))) assert.ok(satisfied(read, without(zone + extra)));
      }
    });
  }
  test('any two nodes lost, writes go on', () => {
    for (const one of SIX) for (const two of SIX) assert.ok(satisfied(ALL_FULL.write, without(one + two)));
  });
  test('AZ+1 stops writes until repair', () => {
    for (const zone of ZONES)
      for (const extra of SIX.filter(without(zone)))
        assert.ok(!satisfied(ALL_FULL.write, without(zone + extra)));
  });
  test('Vr + Vw > V and Vw > V/2: reads meet writes, writes meet writes', () => {
    assert.ok(overlaps(atLeast(3, SIX), atLeast(4, SIX)).holds);
    assert.ok(overlaps(atLeast(4, SIX), atLeast(4, SIX)).holds);
    assert.ok(!overlaps(atLeast(2, SIX), atLeast(4, SIX)).holds);
  });
});

describe('P17 §4.1 asynchronous processing', () => {
  test('complete to 1007, CPLs 900, 1000 and 1100: the VDL is 1000', () => {
    const progress = writer({ vdl: 899, groups: [PG1] });
    for (let lsn = 900; lsn <= 1100; lsn++)
      progress.allocated(PG1, asLsn(lsn), lsn === 900 || lsn === 1000 || lsn === 1100);
    ack(progress, PG1, { A: 1007, B: 1007, C: 1007, D: 1007, E: 1100 });
    assert.deepEqual([progress.vcl, progress.vdl], [1007, 1000]);
  });
  test('a client may mark every record a CPL: then VDL is VCL', () => {
    const progress = writer({ vdl: 0, groups: [PG1] });
    for (let lsn = 1; lsn <= 5; lsn++) progress.allocated(PG1, asLsn(lsn), true);
    ack(progress, PG1, { A: 3, B: 3, C: 3, D: 3 });
    assert.deepEqual([progress.vcl, progress.vdl], [3, 3]);
  });
});

describe('P17 §4.2.1 writes', () => {
  test('no LSN is allocated above VDL + LAL, and LAL is ten million', () => {
    assert.equal(LSN_ALLOCATION_LIMIT, 10_000_000);
    const lsns = new LsnAllocator({ nextLsn: asLsn(1), outstandingBytesMax: 1e12 });
    lsns.allocate({ records: LSN_ALLOCATION_LIMIT, sizeBytes: 1 });
    const one = { records: 1, sizeBytes: 1 };
    assert.equal(lsns.hasRoom(one), false);
    lsns.durable(asLsn(LSN_ALLOCATION_LIMIT));
    assert.equal(lsns.allocate(one), LSN_ALLOCATION_LIMIT + 1);
  });
  test('the back-link to the previous record of the group shows what a segment lacks', () => {
    const chain = new SegmentChain({ base: asLsn(100) });
    chain.accept(asLsn(105), asLsn(103));
    assert.equal(chain.scl, 100);
    assert.deepEqual(chain.holes(1), [{ after: 100, through: 103 }]);
  });
});

describe('P17 §4.2.2 commits', () => {
  test('a commit is acknowledged at VDL, so one inside an unfinished mini-transaction waits (trap 9)', () => {
    const progress = writer({ vdl: 0, groups: [PG1] });
    progress.allocated(PG1, asLsn(1), false);
    progress.allocated(PG1, asLsn(2), true);
    ack(progress, PG1, { A: 1, B: 1, C: 1, D: 1 });
    assert.ok(progress.vcl >= 1 && progress.vdl < 1);
    ack(progress, PG1, { A: 2, B: 2, C: 2, D: 2 });
    assert.equal(progress.vdl, 2);
  });
});

describe('P17 §4.2.3 reads', () => {
  test('one member is asked, which must cover the read point translated to its group', () => {
    const progress = writer({ vdl: 100, groups: [PG1, PG2] });
    for (let lsn = 101; lsn <= 104; lsn++) progress.allocated(lsn % 2 ? PG1 : PG2, asLsn(lsn), true);
    ack(progress, PG1, { A: 103, B: 103, C: 103, D: 103 });
    ack(progress, PG2, { C: 104, D: 104, E: 104, F: 104 });
    assert.equal(progress.vdl, 104);
    const router = new ReadRouter(SIX.map((member) => ('ACE'.includes(member) ? 'full' : 'tail')));
    const ask = (pg: PgIndex) =>
      router.choose({
        scls: SIX.map((_, member) => progress.scl(pg, member)),
        requiredScl: progress.lastLsnAtOrBelow(pg, progress.vdl),
        sample: 0.5,
      });
    assert.deepEqual(ask(PG1), { member: 0 });
    assert.deepEqual(ask(PG2), { member: 2 });
  });
  test('the PGMRPL is the lowest read point in use', () => {
    const points = new ReadPoints();
    points.open(asLsn(90));
    points.open(asLsn(95));
    assert.equal(points.pgmrpl(asLsn(104)), 90);
  });
});

describe('P18 §2.3 writes without consensus', () => {
  test('Fig 3: PGCL1 = 103, PGCL2 = 104, VCL = 104, while 105 and 106 have three copies each', () => {
    const progress = writer({ vdl: 100, groups: [PG1, PG2] });
    for (let lsn = 101; lsn <= 106; lsn++) progress.allocated(lsn % 2 ? PG1 : PG2, asLsn(lsn), true);
    ack(progress, PG1, { A: 105, B: 105, C: 105, D: 103, E: 103, F: 101 });
    ack(progress, PG2, { A: 106, B: 104, C: 106, D: 104, E: 104, F: 106 });
    assert.deepEqual([progress.pgcl(PG1), progress.pgcl(PG2), progress.vcl], [103, 104, 104]);
    ack(progress, PG2, { B: 106 });
    assert.deepEqual([progress.pgcl(PG2), progress.vcl], [106, 104], 'neither least nor greatest PGCL');
  });
  test('the SCL is the end of the chain without a gap, and a late record closes it', () => {
    const chain = new SegmentChain({ base: asLsn(0) });
    for (const [lsn, previous] of [
      [1, 0],
      [5, 3],
      [3, 1],
    ])
      chain.accept(asLsn(lsn), asLsn(previous));
    assert.equal(chain.scl, 5);
  });
});

describe('P17 §4.3, P18 §2.4 crash recovery', () => {
  test('Fig 3 recovered from any three members keeps 104 and annuls from there to the limit', () => {
    // The rule of the figure: every read quorum sees all that a write quorum had, whatever else it sees.
    const scls: Record<string, [number, number]> = {
      A: [105, 106],
      B: [105, 104],
      C: [105, 106],
      D: [103, 104],
      E: [103, 104],
      F: [101, 106],
    };
    const record = (lsn: number) => ({ lsn: asLsn(lsn), previousVolumeLsn: asLsn(lsn - 1), cpl: true });
    for (let mask = 0; mask < 64; mask++) {
      const quorum = SIX.filter((_, index) => mask & (1 << index));
      if (quorum.length !== 3) continue;
      const recovery = new Recovery({
        volumeEpoch: asEpoch(2),
        groups: [PG1, PG2].map((pg) => ({ pg, formulas: ALL_FULL })),
      });
      for (const member of quorum) {
        for (const [index, pg] of [PG1, PG2].entries()) {
          const scl = scls[member][index];
          const tail = [101, 102, 103, 104, 105, 106].filter((lsn) => lsn % 2 === (pg === PG1 ? 1 : 0));
          recovery.answered(pg, member, {
            volumeEpoch: asEpoch(2),
            scl: asLsn(scl),
            vdl: asLsn(100),
            ranges: [],
            tail: tail.filter((lsn) => lsn <= scl).map(record),
            damaged: false,
          });
        }
      }
      const { vdl, range, nextLsn } = must(recovery.decision());
      assert.ok(vdl >= 104, `${quorum.join('')} recovers ${vdl}`);
      assert.equal(range.through, vdl + LSN_ALLOCATION_LIMIT);
      assert.equal(nextLsn, range.through + 1);
    }
  });
  test('a late write inside the range is ignored for ever', () => {
    const chain = new SegmentChain({ base: asLsn(104) });
    chain.truncate([{ volumeEpoch: asEpoch(2), after: asLsn(104), through: asLsn(10_000_104) }]);
    assert.equal(chain.accept(asLsn(106), asLsn(104)), 'annulled');
    assert.equal(chain.accept(asLsn(10_000_105), asLsn(104)), 'appended');
  });
});

describe('P18 §3.1 avoiding quorum reads', () => {
  test('a late answer is hedged with the next fastest member', () => {
    const router = new ReadRouter(SIX.map(() => 'full'));
    for (const [member, latencyMs] of [4, 1, 2, 9, 9, 9].entries()) router.measured(member, latencyMs, 1);
    const scls = SIX.map(() => asLsn(10));
    const first = must(router.choose({ scls, requiredScl: asLsn(10), sample: 0.9 }));
    assert.equal(first.member, 1);
    assert.equal(router.second({ scls, requiredScl: asLsn(10), asked: [first.member] }), 2);
  });
});

describe('P18 §4.1 membership changes', () => {
  test('Fig 5: F suspected, G joins, both sets agree to every write; ABCD satisfies two changes at once', () => {
    const sets = ['ABCDEF', 'ABCDEG', 'ABCDFH', 'ABCDGH'].map((set) => {
      const members = Array.from(set);
      return { write: atLeast(4, members), read: atLeast(3, members) };
    });
    const one = adopted(joint(sets.slice(0, 2)), [sets[0].write]);
    assert.ok(satisfied(one.write, (member) => 'ABCE'.includes(member)));
    assert.ok(!satisfied(one.write, (member) => 'ABCF'.includes(member)));
    const two = adopted(joint(sets), [sets[0].write, one.write]);
    assert.ok(satisfied(two.write, (member) => 'ABCD'.includes(member)));
  });
});

describe('P18 §4.2 unlike members', () => {
  test('three full members alone are a write quorum; three tails are not a read quorum', () => {
    assert.ok(satisfied(FULL_TAIL.write, (member) => 'ACE'.includes(member)));
    assert.ok(!satisfied(FULL_TAIL.read, (member) => 'BDF'.includes(member)));
  });
});
