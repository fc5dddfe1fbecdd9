/**
 * The local file systems of a machine that take part in its snapshots: looked at anew for each snapshot, before anybody is held, so that what
 * is refused has cost nobody anything.
 */
import * as fs from 'node:fs/promises';
import { type Clock, describeError, type Random } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import { HOLD_MS_MAX } from '../provider.ts';
import type { Level } from '../writer.ts';
import { obeying } from '../writers/obeying.ts';
import { FreezeJournal } from './freeze-journal.ts';
import { type FitMount, inspect, programPath } from './inspection.ts';
import { type LocalList, readLocalList } from './list.ts';
import { deviceOf } from './mounts.ts';
import { type Original, PendingSet } from './pending-set.ts';
import { LocalProvider } from './provider.ts';
import { recoverFrozen } from './recovery.ts';
import {
  expired,
  removeLeftOvers,
  removeSet,
  setIdOf,
  setsIn,
  storeOf,
  storesOf,
} from './set-directories.ts';
import { Watchdog, type Watched } from './watchdog.ts';

export interface LocalFileSystemsOptions {
  /** The owner's word (list.ts). */
  readonly listFile: string;
  /** The agent's own, on no file system of the list: what is going to be frozen is noted down there. */
  readonly stateDirectory: string;
  /** Rokka's own, which must not be frozen. */
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Of a freeze; shorter in tests. */
  readonly holdMs?: number;
}

/** One attempt. Its two parts are disposed of by whoever opened it: the provider first, the set when it is published or not wanted. */
export interface LocalSnapshot {
  readonly provider: LocalProvider;
  readonly set: LocalSet;
}

/** Copies that are not published go when it is disposed of. */
export interface LocalSet extends AsyncDisposable {
  readonly id: string;
  /** Gives the copies their name. @throws SNAPSHOTS_LOCAL_COPY, and then the set is not there */
  publish(level: Level): Promise<void>;
  /**
   * Removes the oldest sets above the number that is kept. What is not removed is the next time.
   * @returns ids of those that went
   * @throws SNAPSHOTS_LOCAL_COPY where one cannot be removed
   */
  prune(): Promise<readonly string[]>;
}

export interface LocalFileSystems {
  /**
   * Undefined where the list is empty. One at a time.
   * @throws SNAPSHOTS_LOCAL_LIST, SNAPSHOTS_LOCAL_UNFIT, SNAPSHOTS_LOCAL_STORE, SNAPSHOTS_LOCAL_WATCHDOG; the signal's reason
   */
  open(signal: AbortSignal): Promise<LocalSnapshot | undefined>;
  /**
   * Thaws what a process before this one has left frozen. Before anything else is done.
   * @returns mount points that were frozen
   * @throws SNAPSHOTS_LOCAL_JOURNAL, SNAPSHOTS_LOCAL_STAYS_FROZEN; the signal's reason
   */
  recover(signal: AbortSignal): Promise<readonly string[]>;
}

export function localFileSystems(options: LocalFileSystemsOptions): LocalFileSystems {
  const { listFile, stateDirectory, clock } = options;
  const journal = new FreezeJournal(stateDirectory);
  /** Sets that are being made: a look for left-overs passes them over. */
  const live = new Set<string>();
  const recover = async (signal: AbortSignal) =>
    // Without a journal nobody needs the program.
    journal.read() ? recoverFrozen({ journal, program: await programPath('fsfreeze'), clock }, signal) : [];
  return {
    recover,
    async open(signal) {
      const list = readLocalList(listFile);
      if (list.mountPoints.length === 0) return undefined;
      if (process.getuid?.() !== 0)
        throw snapshotErrors.SNAPSHOTS_LOCAL_LIST([
          listFile,
          'only root may freeze: run Rokka as root, or delete it',
        ]);
      await recover(signal);
      return await coded('a set', begin({ list, journal, live, options }, signal));
    },
  };
}

interface Attempt {
  readonly list: LocalList;
  readonly journal: FreezeJournal;
  readonly live: Set<string>;
  readonly options: LocalFileSystemsOptions;
}

async function begin(attempt: Attempt, signal: AbortSignal): Promise<LocalSnapshot> {
  const { list, journal, live, options } = attempt;
  const { dataDirectory, clock, random, holdMs = HOLD_MS_MAX } = options;
  const program = await programPath('fsfreeze');
  const fit = await inspect({ mountPoints: list.mountPoints, dataDirectory, program }, signal);
  const stores = fit.map(({ loop }) => storeOf(loop.backingFile));
  await obeying(removeLeftOvers(stores, live), signal);
  await using owned = new AsyncDisposableStack();
  const id = setIdOf(clock.wallMs(), random.hex(4));
  live.add(id);
  owned.defer(() => void live.delete(id));
  const pending = owned.use(
    await PendingSet.make({ id, originals: await originalsOf(fit, signal), clock }, signal),
  );
  const provider = new LocalProvider({
    volumes: fit.map(({ mountPoint, loop }) => ({ volume: loop.name, mountPoint })),
    mounts: fit.map(({ mountPoint, mount: { device } }) => ({ mountPoint, device })),
    mark: id,
    watchdog: await Watchdog.start(
      { watched: await watchedOf(fit, signal), program, mark: id, holdMs, clock },
      signal,
    ),
    journal,
    set: pending,
  });
  const rest = owned.move();
  const set: LocalSet = {
    id,
    publish: (level) => pending.publish(level),
    prune: () => coded('a set that is not kept any more', prune(stores, list.keep)),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
  return { provider, set };
}

async function prune(stores: readonly string[], keep: number): Promise<string[]> {
  const sets = await setsIn(stores);
  const gone = expired(sets, keep);
  for (const id of gone) await removeSet(id, storesOf(sets.find((set) => set.id === id)));
  return gone;
}

/** What the system says of files on the way becomes an error of ours. */
async function coded<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const { syscall } = cause as NodeJS.ErrnoException;
    if (syscall === undefined) throw cause;
    throw snapshotErrors.SNAPSHOTS_LOCAL_COPY([what, describeError(cause)], { cause });
  }
}

/** Opened, so that what is copied is the file behind the device, whatever has its name by then. */
async function originalsOf(fit: readonly FitMount[], signal: AbortSignal): Promise<Original[]> {
  return await openAll(fit, async ({ mountPoint, mount, loop }) => {
    const { name: device, backingFile: file, backingDevice } = loop;
    const handle = await obeying(fs.open(file, 'r'), signal);
    const isSame = deviceOf((await handle.stat()).dev) === backingDevice;
    return { one: { mountPoint, type: mount.type, device, file, handle }, handle, isSame };
  });
}

async function watchedOf(fit: readonly FitMount[], signal: AbortSignal): Promise<Watched[]> {
  const { O_RDONLY, O_DIRECTORY } = fs.constants;
  return await openAll(fit, async ({ mountPoint, mount }) => {
    const directory = await obeying(fs.open(mountPoint, O_RDONLY | O_DIRECTORY), signal);
    const isSame = deviceOf((await directory.stat()).dev) === mount.device;
    return { one: { name: mountPoint, directory }, handle: directory, isSame };
  });
}

/** All, or none is left open. @throws SNAPSHOTS_LOCAL_UNFIT where one has changed since it was looked at */
async function openAll<T>(
  fit: readonly FitMount[],
  open: (one: FitMount) => Promise<{ one: T; handle: fs.FileHandle; isSame: boolean }>,
): Promise<T[]> {
  await using opened = new AsyncDisposableStack();
  const all: T[] = [];
  for (const each of fit) {
    const { one, handle, isSame } = await open(each);
    opened.use(handle);
    if (!isSame)
      throw snapshotErrors.SNAPSHOTS_LOCAL_UNFIT([
        each.mountPoint,
        'something else is there than a moment ago',
        'send the command again',
      ]);
    all.push(one);
  }
  opened.move();
  return all;
}
