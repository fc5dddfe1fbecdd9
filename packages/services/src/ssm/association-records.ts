/**
 * What the registry has of an association: one record, which decides all of it.
 *
 * - A time that is due is taken by one write, which begins a run, with the id of the command that it will send. So of two keepers one takes it, and
 *   whoever goes on with the run sends the same command, once.
 * - A run ends by one write. What it is at in between follows from its command.
 * - Two runs at most have not ended: the one that goes on, and one that somebody has asked for meanwhile.
 */
import type { StandIn } from '../iam/standing-rights.ts';
import type { Scope } from '../scope.ts';
import type { ParameterValues } from './documents/document-model.ts';
import type { CommandTarget } from './ssm-records.ts';

export interface AssociationRecord {
  /** A UUID, never used again. */
  readonly id: string;
  readonly createdAtMs: number;
  /** By ascending number, one at least: the last one counts. */
  readonly versions: readonly AssociationVersionRecord[];
  /** The last time that was due, and was taken. */
  readonly dueMs?: number;
  /** In the order in which they began; of those that have ended, the newest. */
  readonly runs: readonly AssociationRun[];
  /** When the last one began that went well. */
  readonly succeededAtMs?: number;
}

export interface AssociationVersionRecord {
  readonly version: number;
  /** Due times before do not count. */
  readonly createdAtMs: number;
  readonly name?: string;
  readonly document: string;
  /** As it was given: `$LATEST` is what is the latest then. */
  readonly documentVersion?: string;
  readonly parameters: ParameterValues;
  readonly targets: readonly CommandTarget[];
  /** Undefined: it runs only when it is asked for. */
  readonly schedule?: string;
  /** Not when it is made or updated. */
  readonly isOnlyScheduled: boolean;
  readonly maxConcurrency?: string;
  readonly maxErrors?: string;
  readonly severity: string;
  /** Whoever has made it: its commands are sent with what he may do then. */
  readonly standIn: StandIn;
}

export interface AssociationRun {
  /** Of the run and of its command. */
  readonly id: string;
  readonly version: number;
  readonly takenAtMs: number;
  readonly end?: RunEnd;
}

export interface RunEnd extends RunState {
  readonly atMs: number;
}

export interface RunState {
  readonly status: 'Pending' | 'InProgress' | 'Success' | 'Failed' | 'Skipped';
  /** `DeliveryTimedOut`. */
  readonly details: string;
  /** Machines by the status of their invocations. */
  readonly counts: Readonly<Record<string, number>>;
  /** Of a failure, as a part of a sentence. */
  readonly why?: string;
}

export const associationsPrefix = ({ account, region }: Scope) =>
  `accounts/${account}/${region}/ssm/associations/`;
export const associationKey = (scope: Scope, id: string) => associationsPrefix(scope) + id;
