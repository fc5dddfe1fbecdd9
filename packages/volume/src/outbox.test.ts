import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Lsn, PgIndex } from '@rokka/kernel';
import { Outbox } from './outbox.ts';
import type { SealedRun } from './sealer.ts';

const lsn = (value: number) => value as Lsn;

function run(firstLsn: number, lastLsn = firstLsn, bytes = 10): SealedRun {
  return { pg: 0 as PgIndex, firstLsn: lsn(firstLsn), lastLsn: lsn(lastLsn), bytes: new Uint8Array(bytes) };
}

const firsts = (runs: readonly SealedRun[]) => runs.map(({ firstLsn }) => firstLsn);

function outbox(...runs: SealedRun[]): Outbox {
  const box = new Outbox();
  for (const one of runs) box.add(one);
  return box;
}

test('a ship takes what fits, and one run that does not', () => {
  const box = outbox(run(1, 2), run(3), run(4, 4, 500), run(5));
  assert.deepEqual(firsts(box.takeUnshipped(25)), [1, 3]);
  assert.deepEqual(firsts(box.takeUnshipped(25)), [4]);
  assert.deepEqual([box.hasUnshipped, box.bytes], [true, 530]);
  assert.deepEqual(firsts(box.takeUnshipped(25)), [5]);
  assert.deepEqual([box.hasUnshipped, firsts(box.takeUnshipped(25))], [false, []]);
});

test('a member is sent again what was shipped above its SCL, the rest of a run it has in part included', () => {
  const box = outbox(run(1, 4), run(5, 8), run(9), run(10), run(11));
  box.takeUnshipped(35);
  assert.deepEqual([...box.shippedAbove(lsn(6), 15)].map(firsts), [[5], [9]]);
  assert.deepEqual([...box.shippedAbove(lsn(6), 20)].map(firsts), [[5, 9]]);
  assert.deepEqual([...box.shippedAbove(lsn(9), 20)], [], 'what was never shipped goes with the next ship');
});

test('what a write quorum has is forgotten, whole runs at a time, and never what was not shipped', () => {
  const box = outbox(run(1, 4), run(5, 8), run(9));
  assert.equal(box.forget(lsn(9)), 0);
  box.takeUnshipped(20);
  assert.equal(box.forget(lsn(7)), 10);
  assert.deepEqual([...box.shippedAbove(lsn(0), 100)].map(firsts), [[5]]);
  assert.equal(box.forget(lsn(9)), 10);
  assert.deepEqual([box.bytes, box.hasUnshipped], [10, true]);
});

test('runs that come out of order are our own mistake', () => {
  assert.throws(() => outbox(run(5), run(5)), /LSN order/);
});

test('whatever happens, what is above the PGCL and was shipped can be sent again', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), by: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant('take' as const), by: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ kind: fc.constant('forget' as const), by: fc.integer({ min: 0, max: 6 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const box = new Outbox();
      let [last, shipped, pgcl, bytes] = [0, 0, 0, 0];
      for (const { kind, by } of steps) {
        if (kind === 'add') {
          box.add(run(last + 1, last + by));
          last += by;
          bytes += 10;
        } else if (kind === 'take') {
          shipped = box.takeUnshipped(by).at(-1)?.lastLsn ?? shipped;
        } else {
          pgcl = Math.min(shipped, pgcl + by);
          bytes -= box.forget(lsn(pgcl));
        }
        const kept = [...box.shippedAbove(lsn(pgcl), 30)].flat();
        const covered = kept.flatMap(({ firstLsn, lastLsn }) =>
          Array.from({ length: lastLsn - firstLsn + 1 }, (_, i) => firstLsn + i),
        );
        for (let at = pgcl + 1; at <= shipped; at++) assert.ok(covered.includes(at), `${at} is gone`);
        assert.deepEqual([box.bytes, box.hasUnshipped], [bytes, shipped < last]);
      }
    }),
    { numRuns: 100 },
  );
});
