/** What `rokka status` says of the AWS face, of restore tests and of spares: tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeStatus, restoreTestLines, sparesLine, type SupervisorStatus } from './status.ts';

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

test('what serves the AWS API starts, runs, or starts again with the reason', () => {
  const status: SupervisorStatus = {
    cluster: 'c',
    pid: 1,
    engine: 'native',
    port: 5432,
    freeBytes: 2 ** 40,
    nodes: [],
    head: { restarts: 0, ready: false },
    databases: [],
  };
  const linesWith = (part: { pid?: number; ready: boolean; error?: string }) =>
    describeStatus({ ...status, gateway: { port: 4566, ...part }, agent: part })
      .split('\n')
      .filter((line) => /^(AWS API|agent) /.test(line));
  assert.deepEqual(linesWith({ ready: false }), ['AWS API     port 4566, starting', 'agent       starting']);
  assert.deepEqual(linesWith({ pid: 7, ready: true, error: 'of before' }), [
    'AWS API     port 4566, process 7',
    'agent       process 7',
  ]);
  assert.deepEqual(linesWith({ ready: false, error: 'the port is used' }), [
    'AWS API     port 4566, starting again: the port is used',
    'agent       starting again: the port is used',
  ]);
});

test('a zone that has fewer spares than it is to have is named', () => {
  const line = (perZone: number, counts: readonly number[]) =>
    sparesLine({ perZone, zones: counts.map((spares, i) => ({ zone: 'abc'[i] ?? '', spares })) });
  assert.equal(line(1, [1, 2, 1]), 'spares      1 wanted in each zone');
  assert.equal(
    line(2, [2, 0, 1]),
    'spares      2 wanted in each zone: zone b has no spare, zone c has only 1',
  );
});
