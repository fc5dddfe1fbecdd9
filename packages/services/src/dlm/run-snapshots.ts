/**
 * Snapshots of policies among all snapshots: they are known by their tags, which nobody but this service can set. What a command makes has
 * one that anybody could set, the mark of its run, until it is tagged: it counts only on what a command of the run can have made.
 */
import type { SnapshotFacts } from '../ec2/snapshot-facts.ts';
import { snapshotState } from '../ec2/status.ts';
import type { ScopeFacts } from '../ec2/volume-facts.ts';
import type { Tag } from '../tags.ts';
import type { RunFacts } from './deciding.ts';
import type { PolicyRecord, Run, ScheduleRecord } from './dlm-records.ts';
import type { SnapshotGroup } from './retention.ts';

/** A schedule of a policy on a target. */
export interface Lane {
  readonly policy: PolicyRecord;
  readonly schedule: ScheduleRecord;
  /** An instance or a volume. */
  readonly target: string;
}

const POLICY = 'aws:dlm:lifecycle-policy-id';
const SCHEDULE = 'aws:dlm:lifecycle-schedule-name';
/** AWS has no such tags: without them it would not be known whose sets there are, and which run has made them. */
const INSTANCE = 'aws:dlm:instance-id';
const RUN = 'aws:dlm:run';
export const MARK = 'dlm:run';

/** As AWS writes it. */
export const descriptionOf = ({ policy, schedule }: Lane) =>
  `Created for policy: ${policy.id} schedule: ${schedule.name}`;

export const markOf = ({ mark, attempt }: Run) => `${mark}.${attempt}`;

/** Those that the service sets. */
export function serviceTags({ policy, schedule, target }: Lane, run: Run): Tag[] {
  return [
    { Key: POLICY, Value: policy.id },
    { Key: SCHEDULE, Value: schedule.name },
    ...(policy.details.resourceType === 'INSTANCE' ? [{ Key: INSTANCE, Value: target }] : []),
    { Key: RUN, Value: markOf(run) },
  ];
}

/** What a run has made so far, in its phase and attempt. */
export function madeBy(lane: Lane, run: Run, found: ScopeFacts): SnapshotFacts[] {
  const all = seen(found.snapshots);
  if (run.phase === 'snapshots')
    return all.filter(({ record, set }) => (set?.id ?? record.id) === run.madeId);
  const tagged = all.filter(({ record }) => tagOf(record, RUN) === markOf(run));
  const marked = madeByCommands(lane, run, found).filter(({ record }) => tagOf(record, MARK) === markOf(run));
  return [...tagged, ...marked];
}

/** What attempts of a run have made that came to nothing. */
export const leftBy = (lane: Lane, run: Run, found: ScopeFacts): SnapshotFacts[] =>
  madeByCommands(lane, run, found).filter(
    ({ record }) => tagOf(record, MARK)?.startsWith(`${run.mark}.`) === true,
  );

/**
 * What commands of a run can have made and is not the policy's yet: sets of its instance, with its description, from after it began. Whoever may
 * set tags can put the mark on any snapshot, but that does not make it one of these: the policy must neither take it over nor delete it.
 */
function madeByCommands(lane: Lane, run: Run, { volumes, snapshots }: ScopeFacts): SnapshotFacts[] {
  const attached = volumes.filter(({ volume }) => volume.attachment?.instance === lane.target);
  const own = new Set(attached.map(({ volume }) => volume.id));
  // A volume may be detached by now: that another one of the set is there says whose set it is.
  const sets = new Set(
    snapshots.flatMap(({ record, set }) =>
      set && (own.has(record.volume.id) || record.ofBoot === lane.target) ? set.id : [],
    ),
  );
  return seen(snapshots).filter(
    (facts) =>
      facts.set !== undefined &&
      sets.has(facts.set.id) &&
      facts.record.description === descriptionOf(lane) &&
      facts.record.createdAtMs >= run.takenAtMs &&
      !isTagged(facts),
  );
}

export function stateOf(made: readonly SnapshotFacts[]): RunFacts['made'] {
  const states = made.map(snapshotState);
  if (states.length === 0) return 'none';
  if (states.includes('pending')) return 'pending';
  return states.every((state) => state === 'error') ? 'failed' : 'completed';
}

export const isTagged = ({ record }: SnapshotFacts) => tagOf(record, POLICY) !== undefined;

/** Of a lane, by set. */
export function groupsOf(
  { policy, schedule, target }: Lane,
  all: readonly SnapshotFacts[],
): (SnapshotGroup & { readonly facts: readonly SnapshotFacts[] })[] {
  const own = seen(all).filter(({ record }) => {
    const of = policy.details.resourceType === 'INSTANCE' ? tagOf(record, INSTANCE) : record.volume.id;
    return tagOf(record, POLICY) === policy.id && tagOf(record, SCHEDULE) === schedule.name && of === target;
  });
  return [...Map.groupBy(own, ({ record, set }) => set?.id ?? record.id).values()].map((facts) => {
    const state = stateOf(facts);
    return {
      atMs: Math.max(...facts.map(({ record }) => record.createdAtMs)),
      state: state === 'completed' ? 'good' : state === 'failed' ? 'failed' : 'pending',
      snapshots: facts.map(({ record }) => record.id),
      facts,
    };
  });
}

const seen = (all: readonly SnapshotFacts[]) => all.filter(({ record }) => !record.deleted);
const tagOf = ({ tags }: SnapshotFacts['record'], key: string) => tags.find(({ Key }) => Key === key)?.Value;
