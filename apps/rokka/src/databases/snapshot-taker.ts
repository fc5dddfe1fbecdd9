/** Settles the snapshots that were asked for: has the head of the database bring its archive up to now. */
import { type Clock, describeError, isCoded, type Lsn, type VolumeId } from '@rokka/kernel';
import type { DatabaseRecord, SnapshotRecord, Snapshots } from '@rokka/databases';
import type { Head } from './database-unit.ts';

/** All of the log since the last round, or the pages of the database where its archive begins anew. */
const ARCHIVE_MS = 600_000;
const RETRY_MS = 1_000;

export interface SnapshotTakerOptions {
  snapshots: Snapshots;
  clock: Clock;
  head(database: string): Head | undefined;
  /** All of a volume that nobody has opened since its head ended in good order. */
  endOf(volume: VolumeId): Promise<Lsn | undefined>;
}

export class SnapshotTaker {
  readonly #options: SnapshotTakerOptions;
  /** Those that are under way, and those that rest after an attempt that failed. */
  readonly #busy = new Set<string>();

  constructor(options: SnapshotTakerOptions) {
    this.#options = options;
  }

  /** Begins whatever can be done now. @throws what the registry throws */
  async look(records: readonly DatabaseRecord[]): Promise<void> {
    const waiting = (await this.#options.snapshots.list()).filter(({ phase }) => phase === 'creating');
    for (const snapshot of waiting) {
      if (this.#busy.has(snapshot.name)) continue;
      const record = records.find(({ volumeId }) => volumeId === snapshot.volumeId);
      // Another database may have its name by now.
      const head = record?.name === snapshot.database ? this.#options.head(record.name) : undefined;
      if (head?.ready) this.#take(snapshot);
      // What is still ending says where it ends.
      else if (!head && record?.desired !== 'running') await this.#settleAtEnd(snapshot);
    }
  }

  /** Its database does not run, and will not for this. */
  async #settleAtEnd(snapshot: SnapshotRecord): Promise<void> {
    const { snapshots, clock, endOf } = this.#options;
    const lsn = await endOf(snapshot.volumeId);
    const reason = 'its database is stopped, and did not end in good order: start it once';
    await snapshots.settle(
      snapshot.name,
      lsn === undefined
        ? { phase: 'failed', reason }
        : { phase: 'available', lsn, takenAtMs: clock.wallMs() },
    );
  }

  #take(snapshot: SnapshotRecord): void {
    const { clock, snapshots } = this.#options;
    this.#busy.add(snapshot.name);
    const rest = () =>
      void clock.after(RETRY_MS, () => void this.#busy.delete(snapshot.name), { keepAlive: false });
    this.#archive(snapshot).then(
      (lsn) =>
        snapshots
          .settle(snapshot.name, { phase: 'available', lsn, takenAtMs: clock.wallMs() })
          .then(() => void this.#busy.delete(snapshot.name), rest),
      (error: unknown) => {
        if (!isCoded(error)) throw error;
        // A head that runs without an archive will not get one by itself.
        if (error.code !== 'ROKKA_CHILD_CANNOT') return rest();
        const settled = snapshots.settle(snapshot.name, { phase: 'failed', reason: describeError(error) });
        return settled.then(() => void this.#busy.delete(snapshot.name), rest);
      },
    );
  }

  async #archive({ database }: SnapshotRecord): Promise<Lsn> {
    const head = this.#options.head(database);
    const answer = (await head?.ask('archive', ARCHIVE_MS)) as { lsn: Lsn };
    return answer.lsn;
  }
}
