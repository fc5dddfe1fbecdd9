/**
 * The provider of local file systems: frozen by the kernel (FIFREEZE), copied by clones of the files behind them, thawed. Once frozen, a file
 * system is clean on its device, and nobody writes.
 *
 * All that can be refused, and all that takes long, is done before (filesystems.ts). What is frozen and by whom it is thawed whatever happens
 * is in watchdog.ts and dead-man.ts.
 */
import { snapshotErrors } from '../errors.ts';
import type { Provider, SnapshotSetResult } from '../provider.ts';
import type { MountedVolume } from '../writer.ts';
import { obeying } from '../writers/obeying.ts';
import type { FreezeEnd, LetGo } from './dead-man.ts';
import { bootId, type FreezeJournal, type FrozenMount } from './freeze-journal.ts';
import type { PendingSet } from './pending-set.ts';
import type { Watchdog } from './watchdog.ts';

export interface LocalProviderOptions {
  readonly volumes: readonly MountedVolume[];
  readonly mounts: readonly FrozenMount[];
  readonly mark: string;
  readonly watchdog: Watchdog;
  readonly journal: FreezeJournal;
  readonly set: PendingSet;
}

export class LocalProvider implements Provider {
  readonly holds = true;
  readonly #options: LocalProviderOptions;
  #isAsked = false;
  #letGo: Promise<LetGo> | undefined;
  #frozenForMs: number | undefined;

  constructor(options: LocalProviderOptions) {
    this.#options = options;
  }

  /** What programs may have files on. */
  get volumes(): readonly MountedVolume[] {
    return this.#options.volumes;
  }

  /** From the first freeze to the last thaw; undefined until then. */
  get frozenForMs(): number | undefined {
    return this.#frozenForMs;
  }

  /** @throws SNAPSHOTS_LOCAL_FOREIGN, SNAPSHOTS_LOCAL_UNFROZEN; the signal's reason */
  async hold(signal: AbortSignal): Promise<void> {
    const { watchdog } = this.#options;
    this.#note();
    this.#isAsked = true;
    const { ends, isWhole } = await watchdog.freeze(signal);
    if (isWhole) return;
    // Whoever comes after a kill must not thaw what is somebody else's.
    if (watchdog.foreign.size > 0) this.#note();
    const [name, end] = Object.entries(ends).find(([, each]) => each !== 'frozen') ?? ['', 'frozen'];
    if (end === 'foreign') throw snapshotErrors.SNAPSHOTS_LOCAL_FOREIGN([name]);
    throw snapshotErrors.SNAPSHOTS_LOCAL_UNFROZEN([name || 'one of them', wordsOf(end)]);
  }

  snapshot(signal: AbortSignal): Promise<SnapshotSetResult> {
    return this.#options.set.copy(signal);
  }

  /** @throws SNAPSHOTS_LOCAL_LOOSE, SNAPSHOTS_LOCAL_STAYS_FROZEN; the signal's reason, and thawing goes on */
  async release(signal: AbortSignal): Promise<void> {
    if (!this.#isAsked) return;
    this.#letGo ??= this.#options.watchdog.thaw();
    const { isWhole, why, frozenForMs } = await obeying(this.#letGo, signal);
    this.#frozenForMs = frozenForMs;
    if (!isWhole) throw snapshotErrors.SNAPSHOTS_LOCAL_LOOSE([why]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { watchdog, journal } = this.#options;
    await watchdog[Symbol.asyncDispose]();
    // Where something may be frozen still, whoever comes next looks at it.
    if (!watchdog.mayBeFrozen) journal.remove();
  }

  #note(): void {
    const { journal, mark, mounts, watchdog } = this.#options;
    const own = mounts.filter(({ mountPoint }) => !watchdog.foreign.has(mountPoint));
    journal.write({ mark, boot: bootId(), mounts: own });
  }
}

const wordsOf = (end: FreezeEnd): string => (typeof end === 'string' ? 'the time was over' : end.failed);
