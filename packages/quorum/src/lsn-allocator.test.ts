import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, SeededRandom } from '@rokka/kernel';
import * as fc from 'fast-check';
import { LSN_ALLOCATION_LIMIT, LsnAllocator } from './lsn-allocator.ts';

const batch = (records: number, sizeBytes = 100) => ({ records, sizeBytes });

test('batches are contiguous and start where they are told', () => {
  const lsns = new LsnAllocator({ nextLsn: asLsn(1), outstandingBytesMax: 1000 });
  assert.equal(lsns.last, 0);
  assert.equal(lsns.allocate(batch(3)), 1);
  assert.equal(lsns.allocate(batch(1)), 4);
  assert.equal(lsns.next, 5);
});

test('the limit itself may be used, one more record waits for the VDL', () => {
  const lsns = new LsnAllocator({ nextLsn: asLsn(1), outstandingBytesMax: 1e9, allocationLimit: 10 });
  lsns.allocate(batch(4));
  lsns.allocate(batch(6));
  assert.equal(lsns.last, 10);
  assert.equal(lsns.hasRoom(batch(1)), false);
  assert.throws(() => lsns.allocate(batch(1)));
  lsns.durable(asLsn(4));
  assert.equal(lsns.hasRoom(batch(4)), true);
  assert.equal(lsns.hasRoom(batch(5)), false);
});

test('above a truncation range the limit counts from its end, though the VDL lies below', () => {
  const lsns = new LsnAllocator({ nextLsn: asLsn(10_000_101), outstandingBytesMax: 1e9 });
  lsns.durable(asLsn(100));
  assert.equal(lsns.hasRoom(batch(LSN_ALLOCATION_LIMIT)), true);
  assert.equal(lsns.allocate(batch(2)), 10_000_101);
  lsns.durable(asLsn(10_000_102));
  assert.equal(lsns.outstandingBytes, 0);
});

test('outstanding bytes are bounded; a mini-transaction above the bound passes alone', () => {
  const lsns = new LsnAllocator({ nextLsn: asLsn(1), outstandingBytesMax: 1000 });
  lsns.allocate(batch(1, 5000));
  assert.equal(lsns.hasRoom(batch(1, 1)), false);
  lsns.durable(asLsn(1));
  lsns.allocate(batch(2, 600));
  assert.equal(lsns.hasRoom(batch(1, 401)), false);
  assert.equal(lsns.hasRoom(batch(1, 400)), true);
});

test('no LSN comes twice or above VDL + limit, bytes are those above the VDL, and waiting always ends', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new SeededRandom(seed);
      const lsns = new LsnAllocator({ nextLsn: asLsn(51), outstandingBytesMax: 500, allocationLimit: 20 });
      let pending: { last: number; sizeBytes: number }[] = [];
      let vdl = 50;
      let expected = 51;
      for (let i = 0; i < 200; i++) {
        const wanted = batch(1 + random.below(20), 1 + random.below(300));
        if (lsns.hasRoom(wanted)) {
          assert.equal(lsns.allocate(wanted), expected);
          expected += wanted.records;
          pending.push({ last: expected - 1, sizeBytes: wanted.sizeBytes });
        } else {
          assert.ok(pending.length > 0, 'nothing outstanding, and still no room');
          vdl = random.pick(pending).last;
          lsns.durable(asLsn(vdl));
          pending = pending.filter(({ last }) => last > vdl);
        }
        assert.ok(lsns.last <= vdl + 20);
        assert.equal(
          lsns.outstandingBytes,
          pending.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        );
      }
    }),
    { numRuns: 50 },
  );
});
