/**
 * The copies of one attempt, until it is known what they are worth: then they get their name, or they go. A copy is a clone (FICLONE of
 * ioctl_ficlonerange(2)): it shares all blocks with its original until that is written again.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { type Clock, describeError, must } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import type { SnapshotSetResult } from '../provider.ts';
import type { Level } from '../writer.ts';
import { obeying } from '../writers/obeying.ts';
import {
  type CopiedFileSystem,
  makeStore,
  RECORD,
  removeSet,
  type SetRecord,
  storeOf,
  UNFINISHED,
} from './set-directories.ts';

/** What is to be copied. */
export interface Original {
  readonly mountPoint: string;
  readonly type: string;
  readonly device: string;
  readonly file: string;
  /** Of that very file, whatever has its name later; the set closes it. */
  readonly handle: fs.FileHandle;
}

export interface PendingSetOptions {
  readonly id: string;
  readonly originals: readonly Original[];
  readonly clock: Clock;
}

const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = fs.constants;
/** Blocks that are written again take room of their own, and where there is none the original cannot be written either. */
const FREE_SHARE_MIN = 0.1;

export class PendingSet implements AsyncDisposable {
  readonly id: string;
  readonly #options: PendingSetOptions;
  readonly #stores: readonly string[];
  #copied: readonly CopiedFileSystem[] | undefined;
  #copiedAtMs = 0;
  #isPublished = false;

  private constructor(options: PendingSetOptions) {
    this.id = options.id;
    this.#options = options;
    this.#stores = [...new Set(options.originals.map(({ file }) => storeOf(file)))];
  }

  /**
   * Makes the directories, and tries out for each original that it can be cloned.
   * @throws SNAPSHOTS_LOCAL_STORE, SNAPSHOTS_LOCAL_UNFIT; the signal's reason
   */
  static async make(options: PendingSetOptions, signal: AbortSignal): Promise<PendingSet> {
    const set = new PendingSet(options);
    try {
      await obeying(set.#prepare(), signal);
      return set;
    } catch (error) {
      await set[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of the moment, if nobody writes: the caller's care. @throws SNAPSHOTS_LOCAL_COPY; the signal's reason */
  async copy(signal: AbortSignal): Promise<SnapshotSetResult> {
    const { originals, clock } = this.#options;
    this.#copiedAtMs = clock.wallMs();
    const copies = originals.map((one) => this.#clone(one));
    this.#copied = await obeying(Promise.all(copies), signal);
    const snapshots = this.#copied.map(({ mountPoint, copy }) => ({
      volume: mountPoint,
      snapshot: unpublished(copy),
    }));
    return { id: this.id, snapshots };
  }

  /** On the disk, whole, under its name. @throws SNAPSHOTS_LOCAL_COPY, and then it is not there */
  async publish(level: Level): Promise<void> {
    const copied = must(this.#copied, 'copies are made before they are published');
    const fileSystems = copied.map((one) => ({ ...one, copy: unpublished(one.copy) }));
    const at = new Date(this.#copiedAtMs).toISOString();
    const record: SetRecord = { version: 1, id: this.id, at, level, fileSystems };
    try {
      for (const { copy } of copied) await syncPath(copy);
      for (const store of this.#stores) {
        const directory = this.#unfinished(store);
        const file = path.join(directory, RECORD);
        await fs.writeFile(file, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600, flush: true });
        await syncPath(directory);
      }
      for (const store of this.#stores) {
        await fs.rename(this.#unfinished(store), path.join(store, this.id));
        await syncPath(store);
      }
      this.#isPublished = true;
    } catch (cause) {
      throw snapshotErrors.SNAPSHOTS_LOCAL_COPY([`set ${this.id}`, describeError(cause)], { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.#options.originals) await handle.close();
    // What cannot be removed is a left-over, which goes before the next set is made.
    if (!this.#isPublished) await removeSet(this.id, this.#stores).catch(() => {});
  }

  async #prepare(): Promise<void> {
    for (const store of this.#stores) {
      await makeStore(store);
      await fs.mkdir(this.#unfinished(store), { mode: 0o700 });
    }
    for (const original of this.#options.originals) await this.#tryOut(original);
  }

  async #tryOut({ mountPoint, file, handle }: Original): Promise<void> {
    const store = storeOf(file);
    const refuse = (why: string, wayOut: string, cause?: unknown) =>
      snapshotErrors.SNAPSHOTS_LOCAL_UNFIT([mountPoint, why, wayOut], { cause });
    const trial = path.join(this.#unfinished(store), 'trial');
    try {
      await fs.copyFile(doorTo(handle), trial, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      const why = `${file}, which is behind it, cannot be cloned (${code}): its file system has no reflinks, or not for this file`;
      throw refuse(why, 'move it to XFS (mkfs.xfs -m reflink=1) or btrfs, without chattr +C', cause);
    }
    await fs.rm(trial);
    const { bavail, blocks } = await fs.statfs(store);
    if (bavail < blocks * FREE_SHARE_MIN)
      throw refuse(
        `less than a tenth of the file system of ${file} is free, and what is written after a copy needs room there`,
        'free some',
      );
  }

  async #clone({ mountPoint, type, device, file, handle }: Original): Promise<CopiedFileSystem> {
    const copy = path.join(this.#unfinished(storeOf(file)), path.basename(file));
    try {
      await fs.copyFile(doorTo(handle), copy, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
      await fs.chmod(copy, 0o600);
      const { size: bytes } = await fs.stat(copy);
      return { mountPoint, type, device, bytes, original: file, copy };
    } catch (cause) {
      throw snapshotErrors.SNAPSHOTS_LOCAL_COPY([mountPoint, describeError(cause)], { cause });
    }
  }

  #unfinished(store: string): string {
    return path.join(store, `${this.id}${UNFINISHED}`);
  }
}

const doorTo = (handle: fs.FileHandle) => `/proc/self/fd/${handle.fd}`;

/** Where it is once it is published. */
const unpublished = (copy: string) =>
  path.join(path.dirname(copy).slice(0, -UNFINISHED.length), path.basename(copy));

async function syncPath(file: string): Promise<void> {
  await using handle = await fs.open(file, 'r');
  await handle.sync();
}
