/** What `rokka status` says of restore tests: a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restoreTestLines } from './status.ts';

const ONE = Date.parse('2026-03-30T04:00:00Z');
const TWO = Date.parse('2026-03-31T04:00:00Z');

test('a restore test has a line where it failed last, or is overdue', () => {
  const lines = restoreTestLines([
    { association: 'good', succeededAtMs: TWO, isOverdue: false },
    { association: 'young', isOverdue: false },
    { association: 'torn', failedAtMs: TWO, why: 'not clean:\n  x', succeededAtMs: ONE, isOverdue: false },
    { association: 'never', failedAtMs: TWO, why: 'denied', isOverdue: true },
    { association: 'silent', succeededAtMs: ONE, isOverdue: true },
    { association: 'dead', isOverdue: true },
  ]);
  assert.deepEqual(lines, [
    'restoring   torn failed 2026-03-31T04:00:00Z, it last went well 2026-03-30T04:00:00Z: not clean: x',
    'restoring   never failed 2026-03-31T04:00:00Z, it never went well: denied',
    'restoring   silent is overdue: it last went well 2026-03-30T04:00:00Z',
    'restoring   dead is overdue: it never went well',
  ]);
});
