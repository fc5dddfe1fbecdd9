/** What a process before this one has left frozen is thawed: by its journal, and nothing that is not named there. */
import * as fs from 'node:fs/promises';
import { type Clock, describeError } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import { obeying } from '../writers/obeying.ts';
import { processIds } from '../writers/processes.ts';
import { thawSurely } from './dead-man.ts';
import { bootId, type FreezeAttempt, type FreezeJournal, type FrozenMount } from './freeze-journal.ts';
import { FREEZE_MARK, fsfreeze } from './fsfreeze.ts';
import { deviceOf, type Mount, readMounts } from './mounts.ts';

const LOOK_MS = 50;
const THAW_TRIES_MAX = 20;

export interface RecoveryOptions {
  readonly journal: FreezeJournal;
  /** fsfreeze */
  readonly program: string;
  readonly clock: Clock;
}

/**
 * @returns mount points that were frozen still
 * @throws SNAPSHOTS_LOCAL_JOURNAL, SNAPSHOTS_LOCAL_STAYS_FROZEN; the signal's reason
 */
export async function recoverFrozen(options: RecoveryOptions, signal: AbortSignal): Promise<string[]> {
  const { journal, clock } = options;
  const attempt = journal.read();
  if (!attempt) return [];
  const thawed: string[] = [];
  if (attempt.boot === bootId()) {
    // Its watchdog thaws by itself and goes; a freeze that is under way could only be thawed after its end.
    while (await isAtWork(attempt, signal)) await clock.sleep(LOOK_MS, signal);
    const mounts = await readMounts();
    for (const frozen of attempt.mounts) {
      const mount = findMount(mounts, frozen);
      if (mount && (await thaw(mount, { ...options, mark: attempt.mark, signal })))
        thawed.push(mount.mountPoint);
    }
  }
  journal.remove();
  return thawed;
}

/** Its own place first: a file system may be seen at several. */
function findMount(mounts: readonly Mount[], { mountPoint, device }: FrozenMount): Mount | undefined {
  const same = mounts.filter((mount) => mount.device === device);
  return same.find((mount) => mount.mountPoint === mountPoint) ?? same[0];
}

/** Whether a process of the attempt is there: what it started has its mark in the environment. */
async function isAtWork({ mark }: FreezeAttempt, signal: AbortSignal): Promise<boolean> {
  const variable = `${FREEZE_MARK}=${mark}`;
  for (const pid of await processIds(signal)) {
    const environment = await fs.readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(variable)) return true;
  }
  return false;
}

async function thaw(
  { mountPoint, device }: Mount,
  { program, clock, mark, signal }: RecoveryOptions & { mark: string; signal: AbortSignal },
): Promise<boolean> {
  const { O_RDONLY, O_DIRECTORY } = fs.constants;
  try {
    await using directory = await obeying(fs.open(mountPoint, O_RDONLY | O_DIRECTORY), signal);
    // Something else is mounted over it, and what is below cannot be reached by this name.
    if (deviceOf((await directory.stat()).dev) !== device)
      throw new Error(`${mountPoint} is hidden by another mount`);
    const freezable = fsfreeze({ name: mountPoint, descriptor: directory.fd, program, mark });
    return await thawSurely(freezable, { clock, triesMax: THAW_TRIES_MAX });
  } catch (cause) {
    signal.throwIfAborted();
    throw snapshotErrors.SNAPSHOTS_LOCAL_STAYS_FROZEN([`${mountPoint}: ${describeError(cause)}`], { cause });
  }
}
