/** A restore in earnest: volumes made from the snapshots take the places of those that they show, all or none. Those are kept. */
import { describeError, isCoded } from '@rokka/kernel';
import { rokkaErrors } from '../../errors.ts';
import { isAwsError } from '../aws-answers.ts';
import type { Attached, RestoreVolumes } from './restore-volumes.ts';
import { makeAll, type Restoring, undoneIfItFails } from './restoring.ts';

/** @returns why it is no success, or nothing @throws ROKKA_RESTORE_REFUSED, ROKKA_RESTORE_LEFT, and what went wrong once it is undone */
export async function replace(asked: Restoring): Promise<string | undefined> {
  const restoring = withoutBoot(asked);
  const { volumes, input, plan, place } = restoring;
  const { parts } = plan;
  const replaced = place.attached.filter(({ device }) => parts.some((part) => part.device === device));
  await volumes.demandRights({ parts, zone: place.zone, replaced }, input.signal);
  await demandNobodyWrites(restoring, replaced);
  await undoneIfItFails(restoring, () => exchange(restoring, replaced));
  for (const { volume, device } of replaced) input.say(`Kept, detached from ${device}: ${volume}\n`);
  return noteReplaced(restoring, replaced);
}

/**
 * The cluster stands on its boot volume, and so does whoever carries this out: that one stays as it is.
 * @throws ROKKA_RESTORE_REFUSED where nothing else is in the set
 */
function withoutBoot(restoring: Restoring): Restoring {
  const { plan, place, input } = restoring;
  const { bootDevice } = place;
  const boot = plan.parts.find(({ device }) => device === bootDevice);
  if (!boot) return restoring;
  const parts = plan.parts.filter((part) => part !== boot);
  if (parts.length === 0)
    throw rokkaErrors.ROKKA_RESTORE_REFUSED([
      `set ${plan.set} has the boot volume alone, which is never replaced: make a volume of ${boot.snapshot} and take its files back by hand`,
    ]);
  input.say(`The boot volume at ${bootDevice} is left alone: ${boot.snapshot} is not put in its place.\n`);
  return { ...restoring, plan: { ...plan, parts } };
}

async function exchange(restoring: Restoring, replaced: readonly Attached[]): Promise<void> {
  const { volumes, input } = restoring;
  const { signal, ending, say } = input;
  const made = await makeAll(restoring, replaced);
  // Making them took its time.
  await demandNobodyWrites(restoring, replaced);
  for (const { volume } of replaced) {
    signal.throwIfAborted();
    await volumes.detach(volume, ending);
  }
  for (const { volume } of replaced) await volumes.detached(volume, signal);
  for (const { volume, part } of made) {
    signal.throwIfAborted();
    await volumes.attach({ volume, device: part.device }, ending);
  }
  for (const { volume, part } of made) {
    const mountPoint = await volumes.mounted(volume, signal);
    say(`  ${volume} of ${part.snapshot} is at ${part.device}, mounted at ${mountPoint}\n`);
  }
}

/** @throws ROKKA_RESTORE_REFUSED with their names */
async function demandNobodyWrites(
  { volumes, input, writing }: Restoring,
  replaced: readonly Attached[],
): Promise<void> {
  const mounted = replaced.flatMap(({ volume }) => {
    const mountPoint = volumes.mountPointOf(volume);
    return mountPoint === undefined ? [] : [{ volume, mountPoint }];
  });
  const names = await writing(mounted, input.signal);
  if (names.length > 0)
    throw rokkaErrors.ROKKA_RESTORE_REFUSED([
      `programs have files open on volumes that would be replaced: ${names.join('; ')}. Stop them first`,
    ]);
}

/** All is as it was asked for by now: that a note of it is missing changes nothing of that. */
async function noteReplaced(
  { volumes, input }: Restoring,
  replaced: readonly Attached[],
): Promise<string | undefined> {
  try {
    await volumes.tagReplaced(
      replaced.map(({ volume }) => volume),
      input.ending,
    );
    return undefined;
  } catch (error) {
    if (!isCoded(error) && !isAwsError(error)) throw error;
    return `all volumes are replaced, but those that were there have no tag that says so: ${describeError(error)}`;
  }
}

/**
 * Whether a restore that was cut short had come to its end: all that it made stands where it belongs. It had made all before it attached the first
 * one, and undoing begins with detaching. Notes it down then.
 */
export async function wasReplaced(volumes: RestoreVolumes, signal: AbortSignal): Promise<boolean> {
  const made = await volumes.made(signal);
  const stands = made.every(
    ({ attachment, device }) => attachment && !attachment.isEnding && attachment.device === device,
  );
  if (made.length === 0 || !stands) return false;
  try {
    for (const { volume } of made) await volumes.mounted(volume, signal);
  } catch (error) {
    if (isCoded(error, 'ROKKA_RESTORE_LATE')) return false;
    throw error;
  }
  const replaced = made.flatMap(({ replaces }) => (replaces === undefined ? [] : [replaces]));
  await volumes.tagReplaced(replaced, signal);
  return true;
}
