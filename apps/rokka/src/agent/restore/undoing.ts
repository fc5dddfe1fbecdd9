/**
 * A restore that is taken back: what it made goes, and what it had taken away is put where it was. Where everything stands is read from EC2 each
 * time, so it may be cut short anywhere and begun again, by whoever comes next; it ends the same.
 */
import { type Clock, describeError, isCoded } from '@rokka/kernel';
import { rokkaErrors } from '../../errors.ts';
import { isAwsError } from '../aws-answers.ts';
import type { MadeVolume, RestoreVolumes } from './restore-volumes.ts';

const TRYING_MS_MAX = 300_000;
const AGAIN_MS = 1_000;
/** The role has lost its rights, or is gone. */
const FINAL = ['ROKKA_RESTORE_REFUSED', 'ROKKA_NO_INSTANCE_KEYS'];

interface Undone {
  readonly deleted: readonly string[];
  /** `vol-… at /dev/sdf` */
  readonly putBack: readonly string[];
}

/** @throws ROKKA_RESTORE_LEFT where it was not to be had; the signal's reason */
export async function undo(
  volumes: RestoreVolumes,
  of: { clock: Clock; signal: AbortSignal },
): Promise<Undone> {
  const deleted = new Set<string>();
  const putBack = new Set<string>();
  const { signal } = of;
  await insisting(volumes, of, () => takeBack(volumes, { deleted, putBack, signal }));
  return { deleted: [...deleted], putBack: [...putBack] };
}

/**
 * Tries again where EC2 is away for a while.
 * @throws ROKKA_RESTORE_LEFT where it was not to be had; the signal's reason
 */
export async function insisting<T>(
  { command }: RestoreVolumes,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const endsAtMs = clock.nowMs() + TRYING_MS_MAX;
  for (;;)
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!isCoded(error) && !isAwsError(error)) throw error;
      const isFinal = FINAL.some((code) => isCoded(error, code)) || clock.nowMs() >= endsAtMs;
      if (isFinal) throw rokkaErrors.ROKKA_RESTORE_LEFT([command, describeError(error)]);
      await clock.sleep(AGAIN_MS, signal);
    }
}

async function takeBack(
  volumes: RestoreVolumes,
  of: { deleted: Set<string>; putBack: Set<string>; signal: AbortSignal },
): Promise<void> {
  const { deleted, putBack, signal } = of;
  const made = await volumes.made(signal);
  for (const { volume, attachment } of made)
    if (attachment && !attachment.isEnding) await volumes.detach(volume, signal);
  for (const { volume } of made) await volumes.detached(volume, signal);
  // Nothing is deleted before all that was there is there again: it says what that was.
  for (const { volume, device } of made.flatMap(replacedBy)) {
    await bringBack(volumes, { volume, device }, signal);
    putBack.add(`${volume} at ${device}`);
  }
  for (const { volume } of made) {
    await volumes.delete(volume, signal);
    deleted.add(volume);
  }
}

const replacedBy = ({ replaces, device }: MadeVolume) =>
  replaces === undefined || device === undefined ? [] : [{ volume: replaces, device }];

async function bringBack(
  volumes: RestoreVolumes,
  { volume, device }: { volume: string; device: string },
  signal: AbortSignal,
): Promise<void> {
  let now = await volumes.find(volume, signal);
  if (now?.attachment?.isEnding) {
    await volumes.detached(volume, signal);
    now = await volumes.find(volume, signal);
  }
  if (!now?.attachment) await volumes.attach({ volume, device }, signal);
  await volumes.mounted(volume, signal);
}
