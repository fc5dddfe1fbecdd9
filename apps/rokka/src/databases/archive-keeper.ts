/**
 * Lets go of history that nobody may ask for any more: what is older than a database's retention and in no snapshot, and the
 * archives of databases that are gone. What is needed is read off the registry and the archives themselves, each time anew.
 *
 * Invariant: what is needed is looked up before anything is removed, and nobody can come to need what nothing needed then: a
 * restore begins at a point of the window or at a snapshot, and the window is kept longer than is told.
 */
import {
  type ArchiveDescriptor,
  archivedVolumes,
  type ObjectStore,
  pointAt,
  readDescriptor,
  removeArchive,
  removeUseless,
} from '@rokka/archive';
import { type Clock, describeError, isCoded, type Lsn, type VolumeId } from '@rokka/kernel';
import type { DatabaseRecord, SnapshotRecord } from '@rokka/databases';
import type { VolumeRecord } from '@rokka/volume';

const DAY_MS = 24 * 3_600_000;
/** Whoever was told that a point is there has time to ask for it. */
const SLACK_MS = 15 * 60_000;
const SWEEP_MS = 10 * 60_000;
const FIRST_SWEEP_MS = 60_000;

export interface ArchiveKeeperOptions {
  store: ObjectStore;
  clock: Clock;
  databases(): Promise<readonly DatabaseRecord[]>;
  snapshots(): Promise<readonly SnapshotRecord[]>;
  volumes(): Promise<readonly VolumeRecord[]>;
  log(level: 'info' | 'warn', text: string): void;
}

export class ArchiveKeeper implements AsyncDisposable {
  readonly #options: ArchiveKeeperOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: ArchiveKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the keeper stops'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopping;
    for (let pauseMs = FIRST_SWEEP_MS; ; pauseMs = SWEEP_MS) {
      await clock.sleep(pauseMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.sweep();
      } catch (error) {
        if (signal.aborted) return;
        if (!isCoded(error)) throw error;
        log('warn', `old history stays in the archive for now: ${describeError(error)}`);
      }
    }
  }

  /** @throws what the registry and the store throw */
  async sweep(): Promise<void> {
    const { store, clock, databases, snapshots, volumes, log } = this.#options;
    const { signal } = this.#stopping;
    // The time before what is needed: a point that leaves the window later may be the beginning of a database that is not seen here.
    const nowMs = clock.wallMs();
    // The archives first: one that is begun later is not looked at.
    const archived = await archivedVolumes(store);
    // A point that goes from a snapshot to a database is then seen in one of them at least.
    const [kept, records, made] = [await snapshots(), await databases(), await volumes()];
    const sources = records.flatMap(({ source }) =>
      source ? [{ volume: source.archive, lsn: source.lsn }] : [],
    );
    const begun = [...sources, ...made.flatMap(({ base }) => base ?? [])];
    const wanted = [...kept.map(({ volumeId }) => volumeId), ...begun.map(({ volume }) => volume)];
    const descriptors = await this.#descriptorsOf([...archived, ...wanted]);
    const bases = [...begun, ...[...descriptors.values()].flatMap(({ base }) => base ?? [])];
    for (const volume of archived) {
      const descriptor = descriptors.get(volume);
      if (!descriptor) continue;
      const { pagesPerGroup } = descriptor;
      const own = kept.filter(({ volumeId }) => volumeId === volume);
      // Nobody knows yet which point it will be.
      if (own.some(({ phase }) => phase === 'creating')) continue;
      const pins = [
        ...own.flatMap(({ lsn }) => lsn ?? []),
        ...bases.flatMap((base) => (base.volume === volume ? base.lsn : [])),
      ];
      const record = records.find(({ volumeId }) => volumeId === volume);
      const isThere = record !== undefined || made.some(({ volumeId }) => volumeId === volume);
      if (!isThere && pins.length === 0) {
        await removeArchive(store, volume, signal);
        log('info', `the archive of ${volume} is gone: its database is, and no snapshot of it is kept`);
        continue;
      }
      const from = isThere ? await this.#windowOf(volume, record, nowMs) : (Math.max(...pins) as Lsn);
      const { removedBytes } = await removeUseless(store, {
        volume,
        pagesPerGroup,
        retention: { from, pins },
        signal,
      });
      if (removedBytes > 0)
        log('info', `${Math.ceil(removedBytes / 2 ** 20)} MiB of history of ${volume} are let go`);
    }
  }

  /** And of all that they stand on. One that is wanted may have been begun after the archives were listed. */
  async #descriptorsOf(volumes: readonly VolumeId[]): Promise<Map<VolumeId, ArchiveDescriptor>> {
    const found = new Map<VolumeId, ArchiveDescriptor>();
    const open = new Set(volumes);
    // What is added meanwhile comes up, too.
    for (const volume of open) {
      const descriptor = await readDescriptor(this.#options.store, volume);
      if (!descriptor) continue;
      found.set(volume, descriptor);
      if (descriptor.base) open.add(descriptor.base.volume);
    }
    return found;
  }

  /** The oldest point that may be asked for; 0 for all of it. */
  async #windowOf(volume: VolumeId, record: DatabaseRecord | undefined, nowMs: number): Promise<Lsn> {
    const { store } = this.#options;
    if (!record || record.retentionDays === 0) return 0 as Lsn;
    const fromMs = nowMs - record.retentionDays * DAY_MS - SLACK_MS;
    return (await pointAt(store, volume, fromMs))?.lsn ?? (0 as Lsn);
  }
}
