/**
 * Which set of snapshots is the newest of an instance that is consistent for applications, from what they say of themselves. Pure. A set is of the
 * instance where it shows one of its volumes.
 */
import type { Snapshot } from '@aws-sdk/client-ec2';
import { isAppConsistent, type NewestSet, refuse, setOf } from './restore-plan.ts';

const HOUR_MS = 3_600_000;

export interface DatedSet {
  readonly set: string;
  readonly madeAtMs: number;
}

/**
 * One that is not copied yet is none so far; of one that will never be, or is not whole any more, whoever tries it out is told.
 * @param found all that are of any set
 * @param of.volumes that are attached to the instance
 * @throws ROKKA_RESTORE_REFUSED where there is none, or it is too old
 */
export function newestSet(
  found: readonly Snapshot[],
  of: { volumes: readonly string[]; nowMs: number; asked: NewestSet },
): DatedSet {
  const { volumes, nowMs, asked } = of;
  const sets = Map.groupBy(found, setOf);
  const dated = [...sets].flatMap(([set, snapshots]): DatedSet[] => {
    const isOwn = snapshots.some(({ VolumeId = '' }) => volumes.includes(VolumeId));
    const isThere = snapshots.every((each) => isAppConsistent(each) && each.State !== 'pending');
    return set === undefined || !isOwn || !isThere ? [] : [{ set, madeAtMs: madeAtMs(snapshots) }];
  });
  const [newest] = dated.sort((a, b) => b.madeAtMs - a.madeAtMs);
  if (!newest)
    throw refuse(
      'no set of snapshots of the volumes of this instance is consistent for applications: make one with AWSEC2-CreateVssSnapshot',
    );
  const hours = (nowMs - newest.madeAtMs) / HOUR_MS;
  if (asked.hoursMax !== undefined && hours > asked.hoursMax)
    throw refuse(
      `the newest set that is consistent for applications, ${newest.set}, is of ${timeOf(newest)}, ${hours.toFixed(1)} hours ago, and MaxAgeHours is ${asked.hoursMax}: see why no newer one was made`,
    );
  return newest;
}

export const newestLine = (newest: DatedSet) =>
  `The newest set of this instance that is consistent for applications is of ${timeOf(newest)}.`;

const timeOf = ({ madeAtMs: ms }: DatedSet) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** The first of them: no set is younger than it says. */
const madeAtMs = (snapshots: readonly Snapshot[]) =>
  Math.min(...snapshots.map(({ StartTime }) => StartTime?.getTime() ?? 0));
