/**
 * Who a cluster's instances are, as its record names them: a writer, and a standby where there is one. Each change is of what is
 * found when it is written, and leaves that as it is where it is not what was decided on.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterFacts } from './cluster-facts.ts';
import type { ClusterRecord, InstanceRecord } from './rds-records.ts';

/** Whether another one may be let in. */
export const hasRoom = ({ deleting, instance, standby }: ClusterRecord) =>
  !deleting && (instance === undefined || standby === undefined);

/** Where both places are taken, it stays outside. */
export function admitting(found: ClusterRecord, { id, resourceId }: InstanceRecord): ClusterRecord {
  const isIn = found.instance === id || found.standby === id;
  if (isIn || found.deleting || found.refused?.includes(resourceId)) return found;
  if (found.instance === undefined) return { ...found, instance: id };
  return found.standby === undefined ? { ...found, standby: id } : found;
}

/** Where there is room by now, it may have come for that, and is let in. Those whose records are gone need not be remembered. */
export function refusing(
  found: ClusterRecord,
  { id, resourceId }: InstanceRecord,
  { instances }: ClusterFacts,
): ClusterRecord {
  const isIn = found.instance === id || found.standby === id;
  if (isIn || hasRoom(found) || found.refused?.includes(resourceId)) return found;
  const others = (found.refused ?? []).filter((each) => instances.some((known) => known.resourceId === each));
  return { ...found, refused: [...others, resourceId] };
}

/**
 * They change places. What stands still is not started again for it.
 * @returns undefined where they are not who was said
 */
export function failingOver(
  found: ClusterRecord,
  { writer, standby }: { writer: string; standby: string },
  sinceMs: number,
): ClusterRecord | undefined {
  if (found.instance !== writer || found.standby !== standby) return undefined;
  const { failover: _, ...rest } = found;
  return {
    ...rest,
    instance: standby,
    standby: writer,
    ...(!found.stopped && { failover: { sinceMs } }),
  };
}

/** One that came after the decision to let the writer go takes its place. */
export function dismissing(found: ClusterRecord, { id }: InstanceRecord): ClusterRecord {
  return without(found, (named) => named === id);
}

/** An instance's record is there before its cluster names it. Where it is not, and the cluster is as it was, it went. */
export function dismissingMissing(found: ClusterRecord, { cluster, instances }: ClusterFacts): ClusterRecord {
  if (!isDeepStrictEqual(found, cluster)) return found;
  return without(found, (named) => !instances.some(({ id }) => id === named));
}

function without(found: ClusterRecord, isOut: (named: string) => boolean): ClusterRecord {
  const { instance, standby, failover, ...rest } = found;
  const named = [instance, standby].filter((each) => each !== undefined);
  const left = named.filter((each) => !isOut(each));
  if (left.length === named.length) return found;
  const [writer, other] = left;
  if (writer === undefined) return rest;
  return {
    ...rest,
    instance: writer,
    ...(other !== undefined && { standby: other }),
    ...(failover && { failover }),
  };
}
