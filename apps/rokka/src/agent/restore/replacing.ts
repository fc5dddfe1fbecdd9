/**
 * A restore in earnest: volumes made from the snapshots take the places of those that they show, all or none. Those are kept.
 *
 * The snapshots are tried first, on volumes that are made for that and thrown away: a server that recovers writes on its copy, and links on it are
 * bent to lead to the copies, so what is put in place must be volumes that nobody has opened.
 *
 * Applications on the volumes stand still from before the first one goes until all new ones are mounted, or the old ones are again. Nothing is
 * stopped that nobody could start, and nothing before all else that can be known is known.
 */
import { describeError, isCoded } from '@rokka/kernel';
import type { Application, MountedVolume } from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import { isAwsError } from '../aws-answers.ts';
import type { Attached, RestoreVolumes } from './restore-volumes.ts';
import { makeAll, type Restoring, undoAll } from './restoring.ts';
import { tryOut } from './trying-out.ts';

/**
 * @returns why it is no success, or nothing
 * @throws ROKKA_RESTORE_REFUSED, ROKKA_RESTORE_LEFT, ROKKA_RESTORE_DOWN, and what went wrong once it is undone
 */
export async function replace(asked: Restoring): Promise<string | undefined> {
  const restoring = withoutBoot(asked);
  const { volumes, input, plan, place } = restoring;
  const { parts } = plan;
  const replaced = place.attached.filter(({ device }) => parts.some((part) => part.device === device));
  await volumes.demandRights({ parts, zone: place.zone, replaced }, input.signal);
  await demandMovable(restoring, replaced);
  const why = restoring.verifies ? await tryOut(restoring) : undefined;
  if (why !== undefined) return `nothing is stopped, and nothing replaced: ${why}`;
  await goingOnIfItFails(restoring, () => exchange(restoring, replaced));
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
  const { volumes, input, standstill } = restoring;
  const { signal, ending, say } = input;
  const made = await makeAll(restoring, replaced);
  // Verifying and making took their time.
  const applications = await demandMovable(restoring, replaced);
  if (applications.length > 0)
    await standstill.stop(applications, {
      command: volumes.command,
      volumes: mountedOf(restoring, replaced),
      after: made.map(({ volume }) => volume),
      say,
      signal,
    });
  await demandNobodyIsBack(restoring, replaced);
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
  sayStarted(restoring, await standstill.start(signal));
}

function sayStarted({ input }: Restoring, names: readonly string[]): void {
  for (const name of names) input.say(`Runs again: ${name}\n`);
}

/**
 * What fails is undone, and then what was stopped is started again, whatever came of that.
 * @throws what `work` throws; ROKKA_RESTORE_LEFT where it is not undone; ROKKA_RESTORE_DOWN where something does not run
 */
async function goingOnIfItFails(restoring: Restoring, work: () => Promise<void>): Promise<void> {
  const { input, standstill } = restoring;
  try {
    return await work();
  } catch (error) {
    input.say(`It goes no further: ${describeError(error)}\n`);
    const why = await undone(restoring).then(
      () => error,
      (failure: unknown) => failure,
    );
    input.ending.throwIfAborted();
    try {
      sayStarted(restoring, await standstill.start(input.ending));
    } catch (failure) {
      if (!isCoded(failure)) throw failure;
      throw rokkaErrors.ROKKA_RESTORE_DOWN([describeError(why), describeError(failure)], { cause: why });
    }
    throw why;
  }
}

/** What had begun to run on the new volumes goes with them. */
async function undone(restoring: Restoring): Promise<void> {
  const { input, standstill } = restoring;
  try {
    for (const name of await standstill.end(input.ending))
      input.say(
        `Ended again: ${name}. Told to start on the new volumes: what it accepted there, if anything, goes with them\n`,
      );
  } catch (error) {
    if (!isCoded(error)) throw error;
    input.say(`What began to run is not ended: ${describeError(error)}\n`);
  }
  await undoAll(restoring);
}

const mountedOf = ({ volumes }: Restoring, replaced: readonly Attached[]): MountedVolume[] =>
  replaced.flatMap(({ volume }) => {
    const mountPoint = volumes.mountPointOf(volume);
    return mountPoint === undefined ? [] : [{ volume, mountPoint }];
  });

/** @returns what has to be stopped @throws ROKKA_RESTORE_REFUSED with the names of what nobody can stop and start */
async function demandMovable(
  restoring: Restoring,
  replaced: readonly Attached[],
): Promise<readonly Application[]> {
  const { standstill, input } = restoring;
  const { applications, immovable } = await standstill.look(mountedOf(restoring, replaced), input.signal);
  if (immovable.length > 0)
    throw rokkaErrors.ROKKA_RESTORE_REFUSED([
      `programs have files open on volumes that would be replaced, and nobody knows how to start them again: ${immovable.join('; ')}. Stop them first, or write scripts stop-… and start-… for them`,
    ]);
  return applications;
}

/** All are stopped that are known: who writes or serves there was started meanwhile. @throws ROKKA_RESTORE_REFUSED with their names */
async function demandNobodyIsBack(restoring: Restoring, replaced: readonly Attached[]): Promise<void> {
  const { input, standstill, writing } = restoring;
  const mounted = mountedOf(restoring, replaced);
  const names = await writing(mounted, input.signal);
  // One that serves need have no file open; scripts are found whatever runs.
  const { applications, immovable } = await standstill.look(mounted, input.signal);
  const running = applications.flatMap(({ paths, note }) => (paths ? [] : [note.name]));
  const back = new Set([...names, ...running, ...immovable]);
  if (back.size > 0)
    throw rokkaErrors.ROKKA_RESTORE_REFUSED([
      `programs have files open again on volumes that would be replaced: ${[...back].join('; ')}. Stop what starts them first`,
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
