/**
 * Settles the snapshots that were asked for: has the head of the database bring its archive up to now. Those that belong to a set
 * are made together (snapshot-set.ts).
 */
import { type Clock, describeError, isCoded, type Lsn, type VolumeId } from '@rokka/kernel';
import {
  type DatabaseRecord,
  type Databases,
  judgeStateCopy,
  type SetCut,
  type SnapshotRecord,
  type Snapshots,
  type StateCopies,
  type StateCopyVerdict,
} from '@rokka/databases';
import type { Head } from './database-unit.ts';
import { cutSet, type SetMember } from './snapshot-set.ts';
import { StateCopier } from './state-copier.ts';

/** All of the log since the last round, or the pages of the database where its archive begins anew. */
const ARCHIVE_MS = 600_000;
const RETRY_MS = 1_000;
/** The moment of a set may be lost: an archive that begins anew, a head that ends. */
const CUTS_MAX = 5;
/** Whoever writes a set down is done by then; or some of it was removed. */
const SET_WHOLE_MS = 60_000;

export interface SnapshotTakerOptions {
  databases: Pick<Databases, 'list'>;
  snapshots: Snapshots;
  clock: Clock;
  head(database: string): Head | undefined;
  copies: StateCopies;
  /** Why it could not be started last, as its record stands now. */
  failureOf(database: string): string | undefined;
  /** All of a volume that nobody has opened since its head ended in good order. */
  endOf(volume: VolumeId): Promise<Lsn | undefined>;
}

export class SnapshotTaker {
  readonly #options: SnapshotTakerOptions;
  /** Those that are under way, and those that rest after an attempt that failed. */
  readonly #busy = new Set<string>();
  /** Databases that are held for a set: another one waits, because a second hold would end the first. */
  readonly #held = new Set<string>();
  /** Copies of the state of which points are being taken one by one, and how many. */
  readonly #taken = new Map<string, number>();
  /** Cuts of a set that were lost. */
  readonly #lost = new Map<string, number>();
  /** Databases that stand still with an end that nobody knows, until their snapshots are settled. */
  #awaited = new Set<string>();
  readonly #copier: StateCopier;

  constructor(options: SnapshotTakerOptions) {
    this.#options = options;
    const isHeld = (database: string) => this.#held.has(database) || this.#taken.has(database);
    this.#copier = new StateCopier({ ...options, isHeld });
  }

  /** Whether a database that is stopped must be opened once, because its last head did not end in good order. */
  awaits(database: string): boolean {
    return this.#awaited.has(database);
  }

  /**
   * Begins whatever can be done now.
   * @param known the records as they were a moment ago
   * @throws what the registry throws
   */
  async look(known: readonly DatabaseRecord[]): Promise<void> {
    const { snapshots, databases } = this.#options;
    await snapshots.finishSets();
    const waiting = (await snapshots.list()).filter(({ phase }) => phase === 'creating');
    // Read after what waits: so a database that has no record is gone, and is not one that came in between.
    const records = waiting.length > 0 ? await databases.list() : known;
    const asked = new Set(waiting.map(({ database }) => database));
    this.#awaited = this.#awaited.intersection(asked);
    const sets = Map.groupBy(waiting, ({ set }) => set?.id);
    for (const [id, members] of sets) if (id !== undefined) await this.#lookAtSet(id, members, records);
    for (const snapshot of sets.get(undefined) ?? []) {
      if (this.#busy.has(snapshot.name)) continue;
      const record = records.find(({ volumeId }) => volumeId === snapshot.volumeId);
      const state = await this.#judgeState(snapshot, record);
      if (state.is === 'failed')
        await snapshots.settle(snapshot.name, { phase: 'failed', reason: state.why });
      if (state.is !== 'whole') continue;
      // Another database may have its name by now.
      const head = record?.name === snapshot.database ? this.#options.head(record.name) : undefined;
      if (head?.ready) this.#take(snapshot);
      // What is still ending says where it ends.
      else if (!head && record?.desired !== 'running') await this.#settleAtEnd(snapshot, record);
    }
    // Last: what can be taken of a copy is, before another one begins.
    await this.#copier.look(records);
  }

  /** Whether the volume holds what the snapshot wants of it, where that is a copy of the cluster's state. */
  async #judgeState(
    { stateCopy, database }: SnapshotRecord,
    record: DatabaseRecord | undefined,
  ): Promise<StateCopyVerdict> {
    if (stateCopy === undefined) return { is: 'whole' };
    if (!record || record.desired === 'deleted') return { is: 'failed', why: `${database} is gone` };
    if (this.#copier.isBusy(database)) return { is: 'awaited' };
    return judgeStateCopy(await this.#options.copies.get(database), stateCopy);
  }

  async #lookAtSet(
    id: string,
    members: readonly SnapshotRecord[],
    records: readonly DatabaseRecord[],
  ): Promise<void> {
    const { clock, endOf, snapshots } = this.#options;
    if (this.#busy.has(id)) return;
    const [{ set, requestedAtMs }] = members;
    if (members.length !== set?.size) {
      if (clock.wallMs() - requestedAtMs < SET_WHOLE_MS) return;
      return snapshots.settleSet(id, {
        phase: 'failed',
        reason: `it has ${members.length} of ${set?.size} snapshots`,
      });
    }
    const found: SetMember[] = [];
    let isOpening = false;
    for (const member of members) {
      const { name, volumeId, database } = member;
      const record = records.find((one) => one.volumeId === volumeId);
      const state = await this.#judgeState(member, record);
      if (state.is === 'failed') return snapshots.settleSet(id, { phase: 'failed', reason: state.why });
      if (state.is === 'awaited') return;
      const head = record?.name === database ? this.#options.head(database) : undefined;
      if (this.#held.has(database)) return;
      if (head?.ready) found.push({ name, head });
      // It starts, or ends: then it is known what to ask.
      else if (head || record?.desired === 'running') return;
      else if ((await this.#endAwaited(member, record)) === 'opening') isOpening = true;
      else found.push({ name, endOf: () => endOf(volumeId) });
    }
    if (isOpening) return;
    const held = members.map(({ database }) => database);
    for (const database of held) this.#held.add(database);
    const onCut = (cut: SetCut) => snapshots.tellCut(id, cut);
    const cut = cutSet(found, { archiveMs: ARCHIVE_MS, clock, onCut }).finally(() => {
      for (const database of held) this.#held.delete(database);
    });
    this.#settleSet(id, cut);
  }

  #settleSet(id: string, cut: ReturnType<typeof cutSet>): void {
    const { clock, snapshots } = this.#options;
    this.#busy.add(id);
    const rest = () => void clock.after(RETRY_MS, () => void this.#busy.delete(id), { keepAlive: false });
    cut
      .then(({ points, cut: moment }) => ({
        phase: 'available' as const,
        points,
        cut: moment,
        takenAtMs: clock.wallMs(),
      }))
      .catch((error: unknown) => {
        if (!isCoded(error)) throw error;
        // Another head is taking over: as long as that takes, it is no try.
        if (error.code === 'ROKKA_CHILD_AWAY') return undefined;
        const lost = (this.#lost.get(id) ?? 0) + 1;
        this.#lost.set(id, lost);
        if (lost < CUTS_MAX && error.code !== 'ROKKA_CHILD_CANNOT' && error.code !== 'ROKKA_SET_UNFINISHED')
          return undefined;
        return { phase: 'failed' as const, reason: describeError(error) };
      })
      .then((outcome) => outcome && snapshots.settleSet(id, outcome).then(() => this.#lost.delete(id)))
      .then(rest, (error: unknown) => {
        // The registry is away: decided anew when it is back.
        if (!isCoded(error)) throw error;
        rest();
      });
  }

  /** Its database does not run: where it ended in good order, all of it is in the archive. */
  async #settleAtEnd(snapshot: SnapshotRecord, record: DatabaseRecord | undefined): Promise<void> {
    const { snapshots, clock } = this.#options;
    const end = await this.#endAwaited(snapshot, record);
    if (end === 'opening') return;
    await snapshots.settle(
      snapshot.name,
      typeof end === 'string'
        ? { phase: 'failed', reason: end }
        : { phase: 'available', lsn: end, takenAtMs: clock.wallMs() },
    );
  }

  /** Where its volume ended; `opening` while the database is started once to find out; or why neither can be. */
  async #endAwaited(
    { volumeId, database, stateCopy }: SnapshotRecord,
    record: DatabaseRecord | undefined,
  ): Promise<Lsn | string> {
    const lsn = await this.#options.endOf(volumeId);
    if (lsn !== undefined) return lsn;
    const { mount, machine } = record?.files ?? {};
    const mayOpen =
      record?.name === database &&
      record.desired === 'stopped' &&
      mount === undefined &&
      machine === undefined &&
      stateCopy === undefined;
    const why = 'its database is stopped, and did not end in good order';
    if (!mayOpen) return `${why}: start it once`;
    const failure = this.#awaited.has(database) ? this.#options.failureOf(database) : undefined;
    if (failure !== undefined) return `${why}; it does not start: ${failure}`;
    this.#awaited.add(database);
    return 'opening';
  }

  #take(snapshot: SnapshotRecord): void {
    const { clock, snapshots } = this.#options;
    this.#busy.add(snapshot.name);
    const rest = () =>
      void clock.after(RETRY_MS, () => void this.#busy.delete(snapshot.name), { keepAlive: false });
    this.#archiveHeld(snapshot).then(
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

  /** A copy of the state stays as it is meanwhile. */
  async #archiveHeld(snapshot: SnapshotRecord): Promise<Lsn> {
    const { database, stateCopy } = snapshot;
    if (stateCopy === undefined) return this.#archive(snapshot);
    this.#taken.set(database, (this.#taken.get(database) ?? 0) + 1);
    return this.#archive(snapshot).finally(() => {
      const left = (this.#taken.get(database) ?? 1) - 1;
      if (left > 0) this.#taken.set(database, left);
      else this.#taken.delete(database);
    });
  }

  async #archive({ database }: SnapshotRecord): Promise<Lsn> {
    const head = this.#options.head(database);
    const answer = (await head?.ask('archive', ARCHIVE_MS)) as { lsn: Lsn };
    return answer.lsn;
  }
}
