import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { PageNumber, PgIndex } from '@rokka/kernel';
import { READ_PAGES_MAX } from '@rokka/storage';
import { readRuns } from './read-runs.ts';

const PAGES_PER_GROUP = 8;
const pgOf = (page: PageNumber) => Math.floor(page / PAGES_PER_GROUP) as PgIndex;

test('requests are of one group each, full at most, and together the pages in their order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 200 }), (numbers) => {
      const pages = numbers as PageNumber[];
      const runs = [...readRuns(pages, pgOf)];
      assert.deepEqual(runs.flat(), pages);
      for (const [at, run] of runs.entries()) {
        assert.ok(run.length >= 1 && run.length <= READ_PAGES_MAX);
        assert.equal(new Set(run.map(pgOf)).size, 1);
        const next = runs[at + 1];
        if (next) assert.ok(run.length === READ_PAGES_MAX || pgOf(next[0]) !== pgOf(run[0]), 'cut too early');
      }
    }),
  );
});
