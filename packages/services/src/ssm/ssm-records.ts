/**
 * What the registry has of SSM.
 *
 * - A command's record decides everything about beginnings: SendCommand makes it, with all that was decided; an agent enters there that
 *   it begins on its machine, CancelCommand that some shall not, and the keeper that nobody begins any more. All of it by
 *   compare-and-set of one record, so what was closed or cancelled never begins, and no two limits are passed at once.
 * - An invocation's record says how far its agent is, and how it ended: that is said once. There is none before its agent has said
 *   something.
 * - A command that is not finished is named under `ssm/open/`: agents look at those alone. The name is written after the command; one
 *   that a crash has left out is found by the keeper.
 */
import type { Scope } from '../scope.ts';
import type { DocumentStep, ParameterValues } from './documents/document-model.ts';
import type { StepResult } from './step-results.ts';

export interface CommandRecord {
  /** A UUID. */
  readonly id: string;
  readonly requestedAtMs: number;
  readonly document: CommandDocument;
  readonly comment: string;
  /** As they were given. */
  readonly parameters: ParameterValues;
  readonly instanceIds: readonly string[];
  readonly targets: readonly CommandTarget[];
  readonly maxConcurrency: string;
  readonly maxErrors: string;
  /** In which each of them must begin. */
  readonly deliverySeconds: number;
  /** That each may take then. */
  readonly executionSeconds: number;
  /** Those that it is for: the instance and the machine that it is. */
  readonly instances: readonly CommandInstance[];
  /** By instance: when its agent began. */
  readonly begun: Readonly<Record<string, number>>;
  /** By instance: when it was to be cancelled. */
  readonly cancelled: Readonly<Record<string, number>>;
  /** When all of it was to be cancelled. */
  readonly cancelledAtMs?: number;
  /** From then on none begins; those that had not have ended so. */
  readonly closed?: { readonly atMs: number; readonly as: 'DeliveryTimedOut' | 'Terminated' };
  /** All of them have ended. */
  readonly finishedAtMs?: number;
}

export interface CommandDocument {
  readonly name: string;
  readonly version: string;
  readonly hash: string;
  /** With the values of all parameters in their places. */
  readonly steps: readonly DocumentStep[];
  /** Of all parameters. */
  readonly parameters: ParameterValues;
}

export interface CommandTarget {
  /** `tag:team`. */
  readonly key: string;
  readonly values: readonly string[];
}

export interface CommandInstance {
  readonly id: string;
  readonly machineKey: string;
}

export interface InvocationRecord {
  readonly command: string;
  readonly instance: string;
  readonly steps: readonly StepResult[];
  readonly end?: InvocationEnd;
}

export interface InvocationEnd {
  readonly details: EndDetails;
  readonly atMs: number;
}

/** How an invocation ends that had begun. */
export type EndDetails =
  | 'Success'
  | 'Failed'
  | 'ExecutionTimedOut'
  | 'Cancelled'
  | 'DeliveryTimedOut'
  | 'Undeliverable'
  | 'InvalidPlatform'
  | 'AccessDenied';

export interface DocumentRecord {
  readonly name: string;
  readonly createdAtMs: number;
  /** By ascending number; one at least. */
  readonly versions: readonly DocumentVersionRecord[];
  /** How many were ever made: numbers are not used again. */
  readonly made: number;
  /** One of them. */
  readonly byDefault: number;
}

export interface DocumentVersionRecord {
  readonly version: number;
  readonly versionName?: string;
  readonly createdAtMs: number;
  readonly content: string;
  readonly hash: string;
}

export interface OpenCommand extends Scope {
  readonly id: string;
}

const prefix = ({ account, region }: Scope, kind: string) => `accounts/${account}/${region}/ssm/${kind}/`;

export const recordPrefixes = {
  commands: (scope: Scope) => prefix(scope, 'commands'),
  /** Of one command; of all of them without it. */
  invocations: (scope: Scope, command?: string) =>
    prefix(scope, 'invocations') + (command === undefined ? '' : `${command}/`),
  documents: (scope: Scope) => prefix(scope, 'documents'),
  open: 'ssm/open/',
  agents: 'ssm/agents/',
};
export const recordKeys = {
  command: (scope: Scope, id: string) => recordPrefixes.commands(scope) + id,
  invocation: (scope: Scope, command: string, instance: string) =>
    recordPrefixes.invocations(scope, command) + instance,
  document: (scope: Scope, name: string) => recordPrefixes.documents(scope) + name,
  open: (id: string) => recordPrefixes.open + id,
  agent: (machineKey: string) => recordPrefixes.agents + machineKey,
};
