import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { PageNumber } from '@rokka/kernel';
import { canJoin, pagesOf, replaceRange, segmentsOf, type Mapping } from './extents.ts';

const BLOCKS = 24;
type Cell = { page: number; written: boolean } | undefined;

/** The twin: one cell a block. */
function cellsOf(mappings: readonly Mapping[]): Cell[] {
  const cells: Cell[] = Array.from<Cell>({ length: BLOCKS });
  for (const { block, page, count, written } of mappings) {
    for (let i = 0; i < count; i++) cells[block + i] = { page: page + i, written };
  }
  return cells;
}

function assertCanonical(mappings: readonly Mapping[]): void {
  for (const [i, mapping] of mappings.entries()) {
    const next = mappings[i + 1];
    assert.ok(mapping.count > 0);
    if (!next) continue;
    assert.ok(mapping.block + mapping.count <= next.block, 'sorted and disjoint');
    assert.ok(!canJoin(mapping, next), 'neighbours that could be one');
  }
}

const edit = fc.record({
  block: fc.integer({ min: 0, max: BLOCKS - 1 }),
  count: fc.integer({ min: 1, max: 8 }),
  // Near pages, so that neighbours often continue each other.
  shift: fc.integer({ min: -1, max: 1 }),
  kind: fc.constantFrom('map', 'reserve', 'unmap' as const),
});

void test('replacing a range equals a map of blocks, and stays in canonical form', () => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), (edits) => {
      let mappings: Mapping[] = [];
      for (const { block, count: wanted, shift, kind } of edits) {
        const count = Math.min(wanted, BLOCKS - block);
        const page = (100 + block + shift) as PageNumber;
        const replacement = kind === 'unmap' ? [] : [{ block, page, count, written: kind === 'map' }];
        const expected = cellsOf(mappings);
        for (let i = 0; i < count; i++) {
          expected[block + i] = kind === 'unmap' ? undefined : { page: page + i, written: kind === 'map' };
        }
        const splice = replaceRange(mappings, { block, count }, replacement);
        const before = mappings;
        mappings = before.toSpliced(splice.from, splice.deleteCount, ...splice.added);
        assert.deepEqual(cellsOf(mappings), expected);
        assertCanonical(mappings);
        const removed = before.slice(splice.from, splice.from + splice.deleteCount);
        assert.ok(
          !splice.added.some((mapping, i) => i === 0 && cellsEqual(mapping, removed[0])),
          'what stays as it is is not touched',
        );
      }
    }),
    { numRuns: 500 },
  );
});

function cellsEqual(a: Mapping, b: Mapping | undefined): boolean {
  return !!b && a.block === b.block && a.page === b.page && a.count === b.count && a.written === b.written;
}

void test('segments cover a range in order, holes included', () => {
  const mappings: Mapping[] = [
    { block: 2, page: 50 as PageNumber, count: 3, written: true },
    { block: 7, page: 90 as PageNumber, count: 2, written: false },
  ];
  assert.deepEqual(segmentsOf(mappings, { block: 0, count: 10 }), [
    { block: 0, count: 2, page: undefined, written: false },
    { block: 2, count: 3, page: 50, written: true },
    { block: 5, count: 2, page: undefined, written: false },
    { block: 7, count: 2, page: 90, written: false },
    { block: 9, count: 1, page: undefined, written: false },
  ]);
  assert.deepEqual(segmentsOf(mappings, { block: 3, count: 1 }), [
    { block: 3, count: 1, page: 51, written: true },
  ]);
  assert.deepEqual(pagesOf(mappings, { block: 4, count: 4 }), [
    { page: 52, count: 1 },
    { page: 90, count: 1 },
  ]);
});

void test('a block appended to the last extent changes that extent alone', () => {
  const mappings: Mapping[] = [
    { block: 0, page: 10 as PageNumber, count: 4, written: true },
    { block: 8, page: 40 as PageNumber, count: 4, written: true },
  ];
  const next = { block: 12, page: 44 as PageNumber, count: 1, written: true };
  assert.deepEqual(replaceRange(mappings, { block: 12, count: 1 }, [next]), {
    from: 1,
    deleteCount: 1,
    added: [{ block: 8, page: 40, count: 5, written: true }],
  });
});
