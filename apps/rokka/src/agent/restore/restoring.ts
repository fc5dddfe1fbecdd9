/** What both ways to restore are given, and what both begin with. */
import { type Clock, describeError } from '@rokka/kernel';
import type { MountedVolume, Standstill, Verifier } from '@rokka/snapshots';
import type { ActionInput } from '../action.ts';
import type { RestorePart, RestorePlan } from './restore-plan.ts';
import type { Attached, Place, RestoreVolumes } from './restore-volumes.ts';
import { undo } from './undoing.ts';

export interface Restoring {
  readonly clock: Clock;
  readonly verifiers: readonly Verifier[];
  /** Programs that write on the volumes, in words. */
  writing(volumes: readonly MountedVolume[], signal: AbortSignal): Promise<readonly string[]>;
  /** Of the programs on volumes that are replaced. */
  readonly standstill: Pick<Standstill, 'look' | 'stop' | 'start' | 'end'>;
  readonly volumes: RestoreVolumes;
  readonly input: ActionInput;
  readonly plan: RestorePlan;
  /** As it was before anything was done. */
  readonly place: Place;
  /** At which verifiers must have ended, on the clock: there must be time left to undo. */
  readonly verifyUntilMs: number;
  /** Whether they are asked before anything is replaced. */
  readonly verifies: boolean;
}

/** A volume that was made from a snapshot of the set. */
export interface Made {
  readonly volume: string;
  readonly part: RestorePart;
}

/** @param replaced the volumes in whose places they are to be; none where it is only tried */
export async function makeAll(
  { volumes, input, plan, place }: Restoring,
  replaced: readonly Attached[] | undefined,
): Promise<Made[]> {
  const { signal, ending } = input;
  const { zone } = place;
  const made: Made[] = [];
  for (const part of plan.parts) {
    signal.throwIfAborted();
    const replaces = replaced?.find(({ device }) => device === part.device)?.volume;
    const of = { zone, belongs: replaced !== undefined, replaces };
    made.push({ part, volume: await volumes.create(part, of, ending) });
  }
  for (const { volume } of made) await volumes.available(volume, signal);
  return made;
}

/** Says that it is, and how it is then. @throws ROKKA_RESTORE_LEFT */
export async function undoAll({ volumes, input, clock }: Restoring): Promise<void> {
  const { deleted, putBack } = await undo(volumes, { clock, signal: input.ending });
  if (putBack.length > 0) input.say(`As before: ${putBack.join(', ')}\n`);
  if (deleted.length > 0) input.say(`Deleted again: ${deleted.join(', ')}\n`);
}

/** @throws what `work` throws, once it is undone; ROKKA_RESTORE_LEFT where it is not */
export async function undoneIfItFails<T>(restoring: Restoring, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    restoring.input.say(`It goes no further: ${describeError(error)}\n`);
    await undoAll(restoring);
    throw error;
  }
}
