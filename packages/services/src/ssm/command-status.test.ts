/** The rules by which invocations make up the status of a command, as AWS's guide has them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandState } from './command-status.ts';
import { type InvocationDetails, isEnd, statusOf } from './invocation-status.ts';

type Row = readonly [
  invocations: Partial<Record<InvocationDetails, number>>,
  expected: string,
  more?: { errorsMax?: number; isCancelled?: boolean },
];

const ROWS: readonly Row[] = [
  // Nothing is over.
  [{ Pending: 3 }, 'Pending Pending'],
  [{ Pending: 1, Delayed: 2 }, 'Pending Pending'],
  [{ Delayed: 2 }, 'Pending Delayed'],
  [{ InProgress: 1, Pending: 2 }, 'InProgress InProgress'],
  [{ Success: 1, Delayed: 1 }, 'InProgress InProgress'],
  [{ Failed: 2, InProgress: 1 }, 'InProgress InProgress'],
  [{ Cancelling: 1, Cancelled: 2 }, 'Cancelling Cancelling', { isCancelled: true }],
  [{ Cancelling: 1, Pending: 2 }, 'InProgress InProgress'],
  // All is over.
  [{}, 'Success NoInstancesInTag'],
  [{ Success: 5 }, 'Success Success'],
  [{ Success: 4, Failed: 1 }, 'Failed Failed'],
  [{ Success: 4, ExecutionTimedOut: 1 }, 'TimedOut ExecutionTimedOut'],
  [{ ExecutionTimedOut: 1, Failed: 1 }, 'Failed Failed'],
  // Errors up to MaxErrors are let pass.
  [{ Success: 4, Failed: 1 }, 'Failed Incomplete', { errorsMax: 1 }],
  [{ Success: 4, ExecutionTimedOut: 1 }, 'Failed Incomplete', { errorsMax: 1 }],
  [{ Success: 3, Failed: 2 }, 'Failed Failed', { errorsMax: 1 }],
  [{ Failed: 1, Terminated: 4 }, 'Failed Failed'],
  // Time-outs of delivery do not count against it, but the command is no success.
  [{ Success: 4, DeliveryTimedOut: 1 }, 'Failed Incomplete'],
  [{ Success: 1, DeliveryTimedOut: 4 }, 'Failed Incomplete'],
  [{ DeliveryTimedOut: 5 }, 'TimedOut DeliveryTimedOut'],
  [{ DeliveryTimedOut: 4, Failed: 1 }, 'Failed Failed'],
  [{ DeliveryTimedOut: 4, Failed: 1 }, 'Failed Incomplete', { errorsMax: 1 }],
  // What could not be tried says nothing, unless there is nothing else.
  [{ Undeliverable: 4, Success: 1 }, 'Success Success'],
  [{ InvalidPlatform: 4, Success: 1 }, 'Success Success'],
  [{ AccessDenied: 4, Success: 1 }, 'Success Success'],
  [{ Undeliverable: 5 }, 'Failed Failed'],
  [{ InvalidPlatform: 3, Undeliverable: 2 }, 'Failed Failed'],
  [{ AccessDenied: 5 }, 'Failed AccessDenied'],
  [{ Undeliverable: 3, DeliveryTimedOut: 1, Success: 1 }, 'Failed Incomplete'],
  [{ Undeliverable: 3, DeliveryTimedOut: 1 }, 'TimedOut DeliveryTimedOut'],
  [{ Undeliverable: 3, Failed: 1 }, 'Failed Incomplete', { errorsMax: 2 }],
  // Cancelled.
  [{ Cancelled: 3 }, 'Cancelled Cancelled', { isCancelled: true }],
  [{ Cancelled: 1, Success: 2 }, 'Cancelled Cancelled', { isCancelled: true }],
  [{ Success: 3 }, 'Success Success', { isCancelled: true }],
  [{ Cancelled: 3 }, 'Cancelled Cancelled'],
  [{ Cancelled: 1, Success: 2 }, 'Failed Incomplete'],
];

for (const [invocations, expected, { errorsMax = 0, isCancelled = false } = {}] of ROWS)
  test(`${JSON.stringify(invocations)} with ${errorsMax} errors allowed: ${expected}`, () => {
    const all = Object.entries(invocations).flatMap(([details, count]) =>
      Array.from({ length: count }, () => details as InvocationDetails),
    );
    const state = commandState({ invocations: all, errorsMax, isCancelled });
    assert.equal(`${state.status} ${state.details}`, expected);
    const count = (which: InvocationDetails) => invocations[which] ?? 0;
    assert.equal(state.targetCount, all.length);
    assert.equal(state.completedCount, all.filter(isEnd).length);
    assert.equal(state.errorCount, count('Failed') + count('ExecutionTimedOut'));
    assert.equal(state.deliveryTimedOutCount, count('DeliveryTimedOut'));
    // In whatever order they are told.
    assert.deepEqual(commandState({ invocations: all.toReversed(), errorsMax, isCancelled }), state);
  });

test('each StatusDetails of an invocation has its Status', () => {
  const of = (...details: InvocationDetails[]) => details.map(statusOf);
  assert.deepEqual(of('DeliveryTimedOut', 'ExecutionTimedOut'), ['TimedOut', 'TimedOut']);
  assert.deepEqual(of('Undeliverable', 'InvalidPlatform', 'AccessDenied'), ['Failed', 'Failed', 'Failed']);
  assert.deepEqual(of('Terminated', 'Cancelled'), ['Cancelled', 'Cancelled']);
  assert.deepEqual(of('Pending', 'Delayed', 'InProgress'), ['Pending', 'Delayed', 'InProgress']);
});
