/** How runs begin and end, and what a run is from its command: tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AssociationRecord, AssociationRun, RunEnd } from './association-records.ts';
import { dueTimeOf, lastRunOf, withAskedRun, withDueRun, withEnd } from './association-runs.ts';
import { stateOfCommand, stateOfRun } from './association-status.ts';
import type { CommandFacts } from './command-facts.ts';
import { restoreTestOf } from './restore-tests.ts';
import type { CommandRecord, EndDetails } from './ssm-records.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MADE_MS = Date.parse('2026-03-31T10:00:00Z');
const SUCCESS: RunEnd = { status: 'Success', details: 'Success', counts: { Success: 1 }, atMs: 9 };
const FAILED: RunEnd = { status: 'Failed', details: 'Failed', counts: { Failed: 1 }, atMs: 9, why: 'torn' };

function association(of: Partial<AssociationRecord> & { schedule?: string } = {}): AssociationRecord {
  const { schedule = 'rate(1 hour)', ...more } = of;
  const version = {
    version: 1,
    createdAtMs: MADE_MS,
    document: 'Rokka-RestoreVssSnapshot',
    parameters: {},
    targets: [],
    schedule,
    isOnlyScheduled: false,
    severity: 'UNSPECIFIED',
    standIn: { principal: { account: '1', arn: 'a', userId: 'u', kind: 'user' as const } },
  };
  return { id: 'a-1', createdAtMs: MADE_MS, versions: [version], runs: [], ...more };
}

const run = (id: string, end?: RunEnd): AssociationRun => ({
  id,
  version: 1,
  takenAtMs: MADE_MS,
  ...(end && { end }),
});
const told = ({ runs }: AssociationRecord) =>
  runs.map(({ id, end }) => `${id} ${end?.status ?? 'open'}`).join(', ');

test('of the times that have passed the last one is due, once, and none before the association', () => {
  const due = (of: Partial<AssociationRecord>, hours: number) => {
    const dueMs = dueTimeOf(association(of), MADE_MS + hours * HOUR_MS);
    return dueMs === undefined ? undefined : (dueMs - MADE_MS) / HOUR_MS;
  };
  assert.equal(due({}, 0.9), undefined);
  assert.equal(due({}, 1), 1);
  assert.equal(due({}, 5.5), 5);
  assert.equal(due({ dueMs: MADE_MS + 5 * HOUR_MS }, 5.9), undefined);
  assert.equal(due({ dueMs: MADE_MS + 5 * HOUR_MS }, 6), 6);
});

test('a time that is due while one has not ended is skipped', () => {
  const at = (dueMs: number, runs: AssociationRun[]) =>
    withDueRun(association({ runs }), { id: 'r-2', takenAtMs: dueMs, dueMs });
  assert.equal(told(at(2, [run('r-1', SUCCESS)])), 'r-1 Success, r-2 open');
  assert.equal(told(at(2, [run('r-1')])), 'r-1 open, r-2 Skipped');
  const taken = at(2, [run('r-1')]);
  assert.equal(withDueRun(taken, { id: 'r-3', takenAtMs: 3, dueMs: 2 }), taken);
  assert.equal(lastRunOf(taken)?.id, 'r-1');
});

test('what somebody asks for waits for the end of the one before, once', () => {
  const asked = (id: string, of: AssociationRecord) => withAskedRun(of, { id, takenAtMs: 2 });
  const two = asked('r-2', association({ runs: [run('r-1')] }));
  assert.equal(told(two), 'r-1 open, r-2 open');
  assert.equal(told(asked('r-3', two)), 'r-1 open, r-3 open');
  const on = withEnd(two, 'r-1', FAILED);
  assert.equal(told(asked('r-3', on)), 'r-1 Failed, r-2 open, r-3 open');
});

test('the first end stays, and the last success is known', () => {
  const open = association({ runs: [run('r-1')], succeededAtMs: 5 });
  const ended = withEnd(open, 'r-1', SUCCESS);
  assert.equal(ended.succeededAtMs, MADE_MS);
  assert.equal(withEnd(ended, 'r-1', FAILED), ended);
  assert.equal(withEnd(open, 'r-2', FAILED), open);
  assert.equal(withEnd(open, 'r-1', FAILED).succeededAtMs, 5);
});

test('the newest hundred that have ended are kept, and all that have not', () => {
  let all = association({ runs: [run('first')] });
  for (let dueMs = 1; dueMs <= 150; dueMs++)
    all = withDueRun(all, { id: `r-${dueMs}`, takenAtMs: dueMs, dueMs });
  assert.equal(all.runs.length, 101);
  assert.deepEqual([all.runs[0]?.id, all.runs[1]?.id, all.runs.at(-1)?.id], ['first', 'r-51', 'r-150']);
});

/** Of a command with an instance for each of these ends; undefined has not ended. */
function facts(ends: (EndDetails | undefined)[], command: Partial<CommandRecord> = {}): CommandFacts {
  const instances = ends.map((_, index) => ({ id: `i-${index}`, machineKey: `m-${index}` }));
  const begun = Object.fromEntries(instances.map(({ id }) => [id, 1]));
  const invocations = ends.flatMap((details, index) =>
    details ? [{ command: 'c', instance: `i-${index}`, steps: [], end: { details, atMs: 2 } }] : [],
  );
  return {
    command: { id: 'c', instances, begun, cancelled: {}, maxErrors: '100%', ...command } as CommandRecord,
    invocations: new Map(invocations.map((each) => [each.instance, each])),
    online: new Set(),
  };
}

const COMMANDS: [of: CommandFacts, status: string, details: string, counts: object][] = [
  [facts(['Success']), 'Success', 'Success', { Success: 1 }],
  [facts(['Success', 'Success']), 'Success', 'Success', { Success: 2 }],
  [facts([]), 'Failed', 'NoInstancesInTag', {}],
  [facts(['Failed']), 'Failed', 'Failed', { Failed: 1 }],
  [facts(['Success', 'Failed']), 'Failed', 'Failed', { Success: 1, Failed: 1 }],
  [facts(['Success', 'ExecutionTimedOut']), 'Failed', 'ExecutionTimedOut', { Success: 1, TimedOut: 1 }],
  [facts(['Failed', 'DeliveryTimedOut']), 'Failed', 'Incomplete', { Failed: 1, TimedOut: 1 }],
  [facts(['Success', 'AccessDenied']), 'Failed', 'AccessDenied', { Success: 1, Failed: 1 }],
  [facts(['Success', undefined]), 'InProgress', 'InProgress', { Success: 1, InProgress: 1 }],
  [facts([undefined], { begun: {} }), 'Pending', 'Delayed', { Delayed: 1 }],
  [
    facts([undefined], { begun: {}, closed: { as: 'DeliveryTimedOut', atMs: 3 } }),
    'Failed',
    'DeliveryTimedOut',
    { TimedOut: 1 },
  ],
  [facts(['Cancelled'], { cancelledAtMs: 2 }), 'Failed', 'Cancelled', { Cancelled: 1 }],
];

test('a run is what its command is; it is a success where all machines have carried it out', () => {
  for (const [of, status, details, counts] of COMMANDS) {
    const { why, ...state } = stateOfCommand(of);
    assert.deepEqual(state, { status, details, counts });
    assert.equal(why !== undefined, status === 'Failed', details);
    assert.deepEqual(stateOfRun(run('c', FAILED), of), FAILED);
  }
  assert.equal(stateOfRun(run('c'), undefined).status, 'Pending');
});

test('a restore test that failed, or has not succeeded for twice its interval, is seen', () => {
  const schedule = 'cron(0 4 * * ? *)';
  const seen = (of: Partial<AssociationRecord>, days: number) => {
    const { isOverdue, why } = restoreTestOf(association({ schedule, ...of }), MADE_MS + days * DAY_MS) ?? {};
    return [isOverdue, why];
  };
  assert.deepEqual(seen({}, 1), [false, undefined]);
  assert.deepEqual(seen({}, 2), [true, undefined]);
  const good = { runs: [run('r-1', SUCCESS)], succeededAtMs: MADE_MS + DAY_MS };
  assert.deepEqual(seen(good, 2), [false, undefined]);
  assert.deepEqual(seen(good, 3), [true, undefined]);
  const bad = { ...good, runs: [run('r-1', SUCCESS), run('r-2', FAILED)] };
  assert.deepEqual(seen(bad, 2), [false, 'torn']);
  // One that goes on has not ended yet, and one that was skipped says nothing.
  const skipped = run('r-4', { ...SUCCESS, status: 'Skipped' });
  assert.deepEqual(seen({ ...bad, runs: [...bad.runs, run('r-3'), skipped] }, 2), [false, 'torn']);
  const other = association();
  const [version] = other.versions;
  const script = { ...other, versions: [{ ...version, document: 'AWS-RunShellScript' }] };
  assert.equal(restoreTestOf(script as AssociationRecord, MADE_MS), undefined);
});
