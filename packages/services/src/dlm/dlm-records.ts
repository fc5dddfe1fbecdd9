/**
 * What the registry has of Data Lifecycle Manager: one record a policy, which decides all of it.
 *
 * - A due time is taken by one write, which names the run of each target and the ids of what it will make. So of two keepers one takes it, and
 *   whoever goes on with a run makes the same things, once.
 * - A run ends by one write. What it is at in between follows from the run, the command and the snapshots (deciding.ts).
 */
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';
import type { CalendarRule } from '../timetable.ts';

export interface PolicyRecord {
  /** Never used again. */
  readonly id: string;
  readonly description: string;
  readonly roleArn: string;
  readonly isEnabled: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly details: PolicyDetailsRecord;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  /** Due times before do not count: it was not there, not enabled, or another one. */
  readonly sinceMs: number;
  /** By schedule. */
  readonly courses: Readonly<Record<string, Course>>;
  /** Why the last due time could not be carried out at all. */
  readonly error?: string;
}

/** With all defaults, as it is shown. */
export interface PolicyDetailsRecord {
  readonly resourceType: 'INSTANCE' | 'VOLUME';
  /** Of instances: their boot volumes as well. */
  readonly includesBoot?: true;
  readonly targetTags: readonly Tag[];
  readonly schedules: readonly ScheduleRecord[];
}

export interface ScheduleRecord {
  readonly name: string;
  readonly due: CalendarRule;
  readonly script?: ScriptRecord;
  readonly retain: RetainRule;
  readonly tagsToAdd: readonly Tag[];
  readonly copiesTags: boolean;
}

/** Applications hold while snapshots are made. */
export interface ScriptRecord {
  /** Whether snapshots are made all the same where they cannot. */
  readonly fallsBack: boolean;
  readonly retries: number;
}

export type RetainRule =
  | { readonly Count: number }
  | { readonly Interval: number; readonly IntervalUnit: 'DAYS' | 'WEEKS' | 'MONTHS' | 'YEARS' };

/** How far a schedule is. */
export interface Course {
  /** The last due time that was taken. */
  readonly dueMs: number;
  /** The last one of each target. */
  readonly runs: Readonly<Record<string, Run>>;
}

export interface Run {
  readonly dueMs: number;
  readonly takenAtMs: number;
  /** What is made has it: a command, and a set of snapshots or one. */
  readonly commandId: string;
  readonly madeId: string;
  /** Nobody else's: snapshots that a command makes are found by it. */
  readonly mark: string;
  /** Script: snapshots are made by the command. */
  readonly phase: 'script' | 'snapshots';
  /** Of the script, from 0. */
  readonly attempt: number;
  /** Why the command could not be sent. */
  readonly refusal?: string;
  /** Why the script came to nothing, where snapshots are made all the same. */
  readonly fallback?: string;
  readonly end?: RunEnd;
}

interface RunEnd {
  readonly atMs: number;
  /** Why it has made nothing. */
  readonly failure?: string;
  /** What people should know of it although it went well. */
  readonly note?: string;
}

export const policiesPrefix = ({ account, region }: Scope) => `accounts/${account}/${region}/dlm/policies/`;
export const policyKey = (scope: Scope, id: string) => policiesPrefix(scope) + id;
