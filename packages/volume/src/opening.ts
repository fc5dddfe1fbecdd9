/** What the opening of a volume needs: the drivers of everything that recovery asks for, and the base of a clone. */
import { type Lsn, must } from '@rokka/kernel';
import type { VolumeStart } from '@rokka/quorum';
import { fenceSegment } from './fencing.ts';
import { forceOut } from './force-out.ts';
import type { Group } from './group.ts';
import type { MembershipChanges } from './membership-changes.ts';
import type { NodeLinks } from './node-links.ts';
import { recoverVolume } from './recovery-driver.ts';
import { volumeErrors } from './errors.ts';
import { Inheritance } from './inheritance.ts';
import type { VolumeOptions } from './volume-options.ts';
import type { VolumeRecord } from './volume-record.ts';
import type { VolumeState } from './volume-state.ts';

const RECOVER_TIMEOUT_MS = 600_000;

/** @throws what recoverVolume throws */
export async function recoverOpened(
  options: VolumeOptions,
  of: { state: VolumeState; groups: readonly Group[]; links: NodeLinks; changes: MembershipChanges },
): Promise<VolumeStart> {
  const { state, groups, links, changes } = of;
  const { record } = state;
  if (record.groups.length === 0) return firstStart(record);
  const { clock, recoverTimeoutMs, signal, onProgress, fleet } = options;
  return recoverVolume({
    volumeId: record.volumeId,
    volumeEpoch: record.volumeEpoch,
    groups,
    links,
    ranges: record.truncationRanges,
    allocationLimit: record.lsnAllocationLimitMax,
    clock,
    timeoutMs: recoverTimeoutMs ?? RECOVER_TIMEOUT_MS,
    signal: signal ?? new AbortController().signal,
    decideRange: (range) => state.addRange(range),
    fence: (group, link, how) => fenceSegment(group, link, { state, ...how }),
    forceOut: (group, whom) => {
      const { retired } = must(state.record.groups[group.pg]);
      return forceOut(group, { ...whom, fleet: fleet?.() ?? [], retired, links, changes });
    },
    ...(onProgress ? { onProgress } : {}),
  });
}

/** Of a volume that nobody has written to. */
function firstStart({ volumeEpoch }: VolumeRecord): VolumeStart {
  return { volumeEpoch, vdl: 0 as Lsn, nextLsn: 1 as Lsn, ranges: [], groups: [] };
}

/** Undefined where the volume has no base. @throws VOLUME_NO_BASE, what `openBase` throws; to whoever awaits it, who may come late */
export function openInheritance(
  options: VolumeOptions,
  record: VolumeRecord,
): Promise<Inheritance | undefined> {
  const opening = inheritanceOf(options, record);
  opening.catch(() => {});
  return opening;
}

async function inheritanceOf(
  { openBase }: VolumeOptions,
  { base, volumeId, groups }: VolumeRecord,
): Promise<Inheritance | undefined> {
  if (!base) return undefined;
  if (!openBase) throw volumeErrors.VOLUME_NO_BASE([volumeId, base.volume]);
  // No record is written before there is a group that it belongs to.
  return new Inheritance(await openBase(base), { pages: base.pages, isFirstLife: groups.length === 0 });
}
