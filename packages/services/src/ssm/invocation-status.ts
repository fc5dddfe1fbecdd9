/** What an invocation is: derived from the command's record, its own, and whether its agent is there. Pure. */
import type { CommandRecord, EndDetails, InvocationRecord } from './ssm-records.ts';

export type InvocationDetails =
  | 'Pending'
  | 'Delayed'
  | 'InProgress'
  | 'Cancelling'
  | 'Terminated'
  | EndDetails;

export type InvocationStatus =
  | 'Pending'
  | 'InProgress'
  | 'Delayed'
  | 'Success'
  | 'Cancelled'
  | 'TimedOut'
  | 'Failed'
  | 'Cancelling';

export interface InvocationFacts {
  readonly command: CommandRecord;
  readonly instance: string;
  readonly record: InvocationRecord | undefined;
  /** Whether its agent has told of itself lately. */
  readonly isOnline: boolean;
}

/** Once it is one of the ends, it stays so: none of the records takes back what this looks at. */
export function detailsOf({ command, instance, record, isOnline }: InvocationFacts): InvocationDetails {
  if (record?.end) return record.end.details;
  const isCancelled = isToBeCancelled(command, instance);
  if (hasBegun(command, instance)) return isCancelled ? 'Cancelling' : 'InProgress';
  if (isCancelled) return 'Cancelled';
  if (command.closed) return command.closed.as;
  return isOnline ? 'Pending' : 'Delayed';
}

export const hasBegun = ({ begun }: CommandRecord, instance: string) => Object.hasOwn(begun, instance);

/** One that has begun may end otherwise all the same. */
export const isToBeCancelled = ({ cancelled }: CommandRecord, instance: string) =>
  Object.hasOwn(cancelled, instance);

const STATUS: Readonly<Record<InvocationDetails, InvocationStatus>> = {
  Pending: 'Pending',
  Delayed: 'Delayed',
  InProgress: 'InProgress',
  Cancelling: 'Cancelling',
  Success: 'Success',
  Failed: 'Failed',
  ExecutionTimedOut: 'TimedOut',
  DeliveryTimedOut: 'TimedOut',
  Cancelled: 'Cancelled',
  // It was called off, though by the system.
  Terminated: 'Cancelled',
  Undeliverable: 'Failed',
  InvalidPlatform: 'Failed',
  AccessDenied: 'Failed',
};

/** An end has one that a step may have too. */
export const statusOf = (details: InvocationDetails): InvocationStatus => STATUS[details];

const OPEN: readonly InvocationDetails[] = ['Pending', 'Delayed', 'InProgress', 'Cancelling'];
export const isEnd = (details: InvocationDetails) => !OPEN.includes(details);
