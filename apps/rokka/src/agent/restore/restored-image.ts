/**
 * What is restored of an image: each of its snapshots at the device that it names. Whether they are of one moment the snapshots say: what somebody
 * has put together of several sets is restored all the same, and is worth no more than that.
 */
import type { Image, Snapshot } from '@aws-sdk/client-ec2';
import { isCoded, must } from '@rokka/kernel';
import {
  isAppConsistent,
  type NamedImage,
  partOf,
  planOf,
  refuse,
  type RestorePlan,
  setOf,
} from './restore-plan.ts';
import type { RestoreVolumes } from './restore-volumes.ts';

/** @throws ROKKA_RESTORE_REFUSED, InvalidAMIID.NotFound; what EC2 answers; the signal's reason */
export async function planOfNamed(
  volumes: RestoreVolumes,
  { image }: NamedImage,
  signal: AbortSignal,
): Promise<RestorePlan> {
  const shown = await volumes.image(image, signal);
  const snapshots = mappingsOf(shown).map(({ snapshot }) => snapshot);
  return planOfImage(shown, await volumes.snapshots({ snapshots }, signal));
}

/** Pure. @throws ROKKA_RESTORE_REFUSED where it is not available */
export function planOfImage(image: Image, found: readonly Snapshot[]): RestorePlan {
  const { ImageId: id, State } = image;
  if (State !== 'available')
    throw refuse(`image ${id} is ${State}: ${image.StateReason?.Message ?? 'wait until it is available'}`);
  const parts = mappingsOf(image)
    .map(({ snapshot, device }) =>
      partOf(must(found.find(({ SnapshotId }) => SnapshotId === snapshot)), device),
    )
    .sort((a, b) => (a.device < b.device ? -1 : 1));
  const whole = wholeSet(found);
  const { set = must(id), level = 'crash' } = whole ?? {};
  return { set, level, isConsistent: whole !== undefined && found.every(isAppConsistent), parts };
}

/** Undefined where they are of several sets, of a part of one, or of none. */
function wholeSet(found: readonly Snapshot[]): Pick<RestorePlan, 'set' | 'level'> | undefined {
  const [set, ...others] = new Set(found.map(setOf));
  if (set === undefined || others.length > 0) return undefined;
  try {
    return planOf(found, { set });
  } catch (error) {
    if (!isCoded(error, 'ROKKA_RESTORE_REFUSED')) throw error;
    return undefined;
  }
}

const mappingsOf = ({ BlockDeviceMappings = [] }: Image) =>
  BlockDeviceMappings.map(({ DeviceName, Ebs }) => ({
    device: must(DeviceName),
    snapshot: must(Ebs?.SnapshotId),
  }));
