import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { PageNumber } from '@rokka/kernel';
import { NotReady } from '@rokka/volume';
import { FsError } from './errors.ts';
import { type Ino, type PageRun } from './layout.ts';
import { PageAllocator } from './page-allocator.ts';

const space = (mappedPages: number, pagesMax = mappedPages) => ({ mappedPages, pagesMax });

void test('pages are given once, all of them, and ENOSPC comes only when none is left', () => {
  const step = fc.record({ owner: fc.integer({ min: 1, max: 4 }), count: fc.integer({ min: 1, max: 9 }) });
  const action = fc.oneof(
    step.map((take) => ({ take })),
    fc.record({ drop: fc.nat(1e6) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const allocator = new PageAllocator(space(64));
      const used = new Map<number, number>();
      const held: PageRun[] = [];
      for (const each of actions) {
        if ('drop' in each) {
          const [run] = held.splice(each.drop % Math.max(1, held.length), 1);
          if (!run) continue;
          allocator.free(run);
          for (let i = 0; i < run.count; i++) used.delete(run.page + i);
          continue;
        }
        const { owner, count } = each.take;
        const fits = used.size + count <= 64;
        const options = { count, after: undefined, mappedBlocks: held.length };
        if (!fits) {
          assert.throws(() => allocator.take(owner as Ino, options), FsError);
          continue;
        }
        const runs = allocator.take(owner as Ino, options);
        assert.equal(
          runs.reduce((sum, run) => sum + run.count, 0),
          count,
        );
        for (const run of runs) {
          held.push(run);
          for (let i = 0; i < run.count; i++) {
            assert.ok(run.page + i < 64 && !used.has(run.page + i), 'a page is given twice');
            used.set(run.page + i, owner);
          }
        }
      }
      assert.equal(allocator.usedPages, used.size);
    }),
    { numRuns: 300 },
  );
});

void test('asks for as much more of the volume as it lacks, before it gives anything', () => {
  const allocator = new PageAllocator(space(10, 20));
  allocator.claim({ page: 0 as PageNumber, count: 8 });
  const options = { count: 5, after: undefined, mappedBlocks: 0 };
  assert.throws(
    () => allocator.take(7 as Ino, options),
    (error) => error instanceof NotReady && error.mapPages === 13,
  );
  assert.equal(allocator.usedPages, 8);
  assert.throws(
    () => allocator.take(7 as Ino, { ...options, count: 13 }),
    (error) => error instanceof FsError && error.code === 'ENOSPC',
  );
});

void test('says which page was claimed before', () => {
  const allocator = new PageAllocator(space(100));
  assert.equal(allocator.claim({ page: 10 as PageNumber, count: 5 }), undefined);
  assert.equal(allocator.claim({ page: 6 as PageNumber, count: 9 }), 10);
});

void test('files that grow by turns keep long runs', () => {
  const allocator = new PageAllocator(space(1 << 16));
  const files = [1, 2, 3].map((ino) => ({
    ino: ino as Ino,
    blocks: 0,
    runs: 0,
    after: undefined as PageNumber | undefined,
  }));
  for (let i = 0; i < 1000; i++) {
    for (const file of files) {
      const options = { count: 1, after: file.after, mappedBlocks: file.blocks };
      const [run] = allocator.take(file.ino, options);
      if (run.page !== file.after) file.runs += 1;
      file.after = (run.page + 1) as PageNumber;
      file.blocks += 1;
    }
  }
  for (const { runs } of files) assert.ok(runs <= 10, `${runs} runs for 1000 blocks`);
});
