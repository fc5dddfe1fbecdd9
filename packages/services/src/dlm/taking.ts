/**
 * Due times are taken: by one write of the policy's record, which begins a run for each of its targets. Of several times that have passed
 * meanwhile, the last one is taken. A target whose run has not ended yet misses this one.
 */
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';
import { newSetId, newSnapshotId } from '../ec2/ec2-ids.ts';
import { isSeen } from '../ec2/ec2-lookup.ts';
import { listTaggedInstances } from '../ec2/instance-tags.ts';
import { volumeState } from '../ec2/status.ts';
import { readScope } from '../ec2/volume-facts.ts';
import { newCommandId } from '../ssm/ssm-ids.ts';
import type { DlmServices } from './dlm-context.ts';
import type { Course, PolicyDetailsRecord, PolicyRecord, Run, ScheduleRecord } from './dlm-records.ts';
import { policyKey } from './dlm-records.ts';
import { whyDenied } from './execution-role.ts';
import { dueTimes } from '../timetable.ts';

const MARK_BYTES = 16;
const ANYTHING = '*';

interface Due {
  readonly schedule: ScheduleRecord;
  readonly dueMs: number;
}

/** @returns the policy as it is then, whoever has taken what; undefined where it is gone */
export async function takeDueTimes(
  services: DlmServices,
  scope: Scope,
  policy: PolicyRecord,
): Promise<PolicyRecord | undefined> {
  const due = dueOf(policy, services.clock.wallMs());
  if (due.length === 0) return policy;
  const { resourceType } = policy.details;
  const describe = resourceType === 'INSTANCE' ? 'ec2:DescribeInstances' : 'ec2:DescribeVolumes';
  const asks = [describe, 'ec2:DescribeSnapshots'].map((action) => ({ action, arn: ANYTHING }));
  const error = await whyDenied(services, scope, { policy, asks });
  const targets = error === undefined ? await targetsOf(services, scope, policy.details) : [];
  const { value } = await services.store.change<PolicyRecord>(policyKey(scope, policy.id), (found) => {
    // It is another one now: what is due of it, the next look says.
    if (!found?.isEnabled || found.modifiedAtMs !== policy.modifiedAtMs) return found;
    const mine = due.filter(({ schedule, dueMs }) => (found.courses[schedule.name]?.dueMs ?? 0) < dueMs);
    if (mine.length === 0) return found;
    const taken = mine.map(({ schedule, dueMs }) => {
      const runs = beginnings(services, { schedule, dueMs, targets, resourceType });
      return [schedule.name, withRuns(found.courses[schedule.name], dueMs, runs)] as const;
    });
    const { error: _, ...rest } = found;
    return {
      ...rest,
      courses: { ...found.courses, ...Object.fromEntries(taken) },
      ...(error !== undefined && { error }),
    };
  });
  return value;
}

function dueOf({ details, courses, sinceMs }: PolicyRecord, nowMs: number): Due[] {
  return details.schedules.flatMap((schedule) => {
    const afterMs = Math.max(sinceMs, courses[schedule.name]?.dueMs ?? 0);
    const dueMs = dueTimes(schedule.due, { afterMs, untilMs: nowMs }).at(-1);
    return dueMs === undefined ? [] : [{ schedule, dueMs }];
  });
}

/** Ids of what has one of the tags. */
async function targetsOf(
  { ec2 }: DlmServices,
  scope: Scope,
  { resourceType, targetTags }: PolicyDetailsRecord,
): Promise<string[]> {
  const isTarget = (tags: readonly Tag[]) =>
    targetTags.some(({ Key, Value }) => tags.some((tag) => tag.Key === Key && tag.Value === Value));
  if (resourceType === 'INSTANCE')
    return (await listTaggedInstances(ec2, scope)).filter(({ tags }) => isTarget(tags)).map(({ id }) => id);
  const { volumes } = await readScope(ec2, scope);
  return volumes
    .filter((facts) => isSeen(facts) && ['available', 'in-use'].includes(volumeState(facts)))
    .filter(({ volume }) => isTarget(volume.tags))
    .map(({ volume }) => volume.id);
}

function beginnings(
  { clock, random }: DlmServices,
  of: Due & { targets: readonly string[]; resourceType: PolicyDetailsRecord['resourceType'] },
): Record<string, Run> {
  const { schedule, dueMs, targets, resourceType } = of;
  const runs = targets.map((target): [string, Run] => [
    target,
    {
      dueMs,
      takenAtMs: clock.wallMs(),
      commandId: newCommandId(random),
      madeId: resourceType === 'INSTANCE' ? newSetId(random) : newSnapshotId(random),
      mark: random.hex(MARK_BYTES),
      phase: schedule.script ? 'script' : 'snapshots',
      attempt: 0,
    },
  ]);
  return Object.fromEntries(runs);
}

function withRuns(course: Course | undefined, dueMs: number, runs: Readonly<Record<string, Run>>): Course {
  const unfinished = Object.entries(course?.runs ?? {}).filter(([, { end }]) => !end);
  return { dueMs, runs: { ...runs, ...Object.fromEntries(unfinished) } };
}
