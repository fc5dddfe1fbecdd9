/**
 * What a command is, from what its invocations are. Pure.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
 */
import { type InvocationDetails, isEnd } from './invocation-status.ts';

export type CommandStatus =
  | 'Pending'
  | 'InProgress'
  | 'Success'
  | 'Cancelled'
  | 'Failed'
  | 'TimedOut'
  | 'Cancelling';

export interface CommandState {
  readonly status: CommandStatus;
  readonly details: string;
  readonly targetCount: number;
  readonly completedCount: number;
  /** Failed and ExecutionTimedOut. */
  readonly errorCount: number;
  readonly deliveryTimedOutCount: number;
}

/** What counts against MaxErrors. */
const ERRORS: readonly InvocationDetails[] = ['Failed', 'ExecutionTimedOut'];
/** They say nothing of whether the command went well, unless there is nothing else. */
const NOT_TRIED: readonly InvocationDetails[] = ['Undeliverable', 'InvalidPlatform', 'AccessDenied'];

export const errorsAmong = (invocations: readonly InvocationDetails[]) =>
  invocations.filter((details) => ERRORS.includes(details)).length;

/** @param of.isCancelled whether all of it was to be cancelled */
export function commandState(of: {
  invocations: readonly InvocationDetails[];
  errorsMax: number;
  isCancelled: boolean;
}): CommandState {
  const { invocations } = of;
  const [status, details] = invocations.every(isEnd) ? endOf(of) : progressOf(of);
  return {
    status,
    details,
    targetCount: invocations.length,
    completedCount: invocations.filter(isEnd).length,
    errorCount: errorsAmong(invocations),
    deliveryTimedOutCount: countOf(invocations, 'DeliveryTimedOut'),
  };
}

type Told = readonly [status: CommandStatus, details: string];

function progressOf(of: { invocations: readonly InvocationDetails[]; isCancelled: boolean }): Told {
  if (of.isCancelled) return ['Cancelling', 'Cancelling'];
  if (of.invocations.every((details) => details === 'Delayed')) return ['Pending', 'Delayed'];
  const isWaiting = of.invocations.every((details) => details === 'Pending' || details === 'Delayed');
  return isWaiting ? ['Pending', 'Pending'] : ['InProgress', 'InProgress'];
}

function endOf(of: {
  invocations: readonly InvocationDetails[];
  errorsMax: number;
  isCancelled: boolean;
}): Told {
  const { invocations, errorsMax, isCancelled } = of;
  // AWS tells it so: nothing went wrong, and nothing was done.
  if (invocations.length === 0) return ['Success', 'NoInstancesInTag'];
  if (isCancelled && invocations.includes('Cancelled')) return ['Cancelled', 'Cancelled'];
  if (errorsAmong(invocations) > errorsMax)
    return countOf(invocations, 'Failed') > 0 ? ['Failed', 'Failed'] : ['TimedOut', 'ExecutionTimedOut'];
  const tried = invocations.filter((details) => !NOT_TRIED.includes(details));
  if (tried.length === 0)
    return all(invocations, 'AccessDenied') ? ['Failed', 'AccessDenied'] : ['Failed', 'Failed'];
  if (all(tried, 'Success')) return ['Success', 'Success'];
  if (all(tried, 'DeliveryTimedOut')) return ['TimedOut', 'DeliveryTimedOut'];
  if (all(tried, 'Cancelled')) return ['Cancelled', 'Cancelled'];
  return ['Failed', 'Incomplete'];
}

const all = (invocations: readonly InvocationDetails[], which: InvocationDetails) =>
  invocations.every((details) => details === which);
const countOf = (invocations: readonly InvocationDetails[], which: InvocationDetails) =>
  invocations.filter((details) => details === which).length;
