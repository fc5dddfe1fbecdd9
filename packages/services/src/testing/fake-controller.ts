/**
 * Steps the states of databases and snapshots as the controller in the supervisor does, without processes: one phase a step, and
 * each written as it is. What is to fail, the test says.
 */
import { asLsn, type Clock } from '@rokka/kernel';
import {
  type DatabaseEntry,
  type Databases,
  type DatabaseSecrets,
  type DatabaseState,
  type FilesRecord,
  judgeStateCopy,
  type SnapshotRecord,
  type Snapshots,
  StateCopies,
  type StateCopyVerdict,
} from '@rokka/databases';
import type { Registry } from '@rokka/registry';

export interface FakeControllerOptions {
  readonly registry: Registry;
  readonly databases: Databases;
  readonly snapshots: Snapshots;
  readonly secrets: DatabaseSecrets;
  readonly clock: Clock;
}

export class FakeController {
  /** Why no database starts. */
  startsFail: string | undefined;
  /** Why nothing that runs comes to an end. */
  stopsFail: string | undefined;
  /** Why no snapshot is made. */
  snapshotsFail: string | undefined;
  snapshotsWait = false;
  /** Why the state of the cluster is not copied. */
  copiesFail: string | undefined;
  readonly #of: FakeControllerOptions;
  readonly #copies: StateCopies;

  constructor(options: FakeControllerOptions) {
    this.#of = options;
    this.#copies = new StateCopies(options);
  }

  async step(): Promise<void> {
    for (const entry of await this.#of.databases.entries()) await this.#look(entry);
    const kept = await this.#of.snapshots.list();
    for (const { name, phase, set } of kept) {
      const all = kept.filter((each) => (set ? each.set?.id === set.id : each.name === name));
      // Of a set none before all of them are written down.
      if (phase !== 'creating' || this.snapshotsWait || all.length !== (set?.size ?? 1)) continue;
      const states = await Promise.all(all.map((each) => this.#judgeState(each)));
      const failed = states.find((state) => state.is === 'failed');
      if (failed) await this.#settle(name, failed.why);
      else if (states.every((state) => state.is === 'whole')) await this.#settle(name, this.snapshotsFail);
    }
  }

  async #judgeState({ database, stateCopy }: SnapshotRecord): Promise<StateCopyVerdict> {
    if (stateCopy === undefined) return { is: 'whole' };
    const found = (await this.#of.databases.list()).find(({ name }) => name === database);
    if (!found || found.desired === 'deleted') return { is: 'failed', why: 'it is gone' };
    return judgeStateCopy(await this.#copies.get(database), stateCopy);
  }

  async #settle(name: string, reason: string | undefined): Promise<void> {
    const { snapshots, clock } = this.#of;
    await snapshots.settle(
      name,
      reason === undefined
        ? { phase: 'available', lsn: asLsn(77), takenAtMs: clock.wallMs() }
        : { phase: 'failed', reason },
    );
  }

  /** A step after its volume was opened, or later. */
  async #copyState({ record, state }: DatabaseEntry): Promise<void> {
    const { stateCopy } = record.files ?? {};
    if (stateCopy === undefined || state?.phase !== 'available' || record.desired !== 'running') return;
    const { version } = await this.#copies.get(record.name);
    if (version >= stateCopy) return;
    const failure = this.copiesFail;
    const made = failure === undefined ? { version: stateCopy } : { version, underWay: stateCopy, failure };
    await this.#copies.tell(record.name, made);
  }

  async #look(entry: DatabaseEntry): Promise<void> {
    const { databases, secrets, clock } = this.#of;
    const { record, state } = entry;
    await this.#copyState(entry);
    if (record.desired === 'deleted' && state?.phase === 'deleting') {
      await secrets.remove(record.name);
      return databases.remove(record.name);
    }
    const {
      endpoint: _,
      reason: __,
      sizeBytes: ___,
      mountPoint: ____,
      standbys: _____,
      ...known
    } = state ?? {};
    const next = { ...known, ...this.#next(entry), atMs: clock.wallMs() };
    if (JSON.stringify(next) !== JSON.stringify(state)) await databases.observe(record.name, next);
    const password = await secrets.read(record.name);
    if (next.phase === 'available' && password !== undefined) await secrets.wasSet(record.name, password);
  }

  #next({ record, state }: DatabaseEntry): Omit<DatabaseState, 'atMs'> {
    const phase = state?.phase;
    const runs = phase === 'available' || phase === 'stopping';
    if (record.desired === 'deleted') return { phase: 'deleting' };
    if (record.desired === 'stopped') {
      if (runs && this.stopsFail !== undefined) return { phase: 'stopping', reason: this.stopsFail };
      if (phase === 'available') return { phase: 'stopping' };
      return { phase: 'stopped', ...(state?.generation !== undefined && { generation: record.generation }) };
    }
    if (phase === 'available' && state?.generation === record.generation) return this.#serving(record, state);
    if (runs && state?.generation !== record.generation && phase === 'available')
      return { phase: 'stopping' };
    if (this.startsFail !== undefined) return { phase: 'failed', reason: this.startsFail };
    if (phase === 'starting' || phase === 'creating') return this.#serving(record, state);
    return { phase: state?.generation === undefined ? 'creating' : 'starting' };
  }

  #serving(record: DatabaseEntry['record'], state: DatabaseEntry['state']): Omit<DatabaseState, 'atMs'> {
    const { generation, files } = record;
    if (files) return { phase: 'available', generation, ...mounted(files) };
    return {
      phase: 'available',
      generation,
      // A password is told to a server that serves, at the next step.
      passwordVersion:
        state?.phase === 'available'
          ? record.passwordVersion
          : (state?.passwordVersion ?? record.passwordVersion),
      endpoint: { host: '127.0.0.1', port: record.port },
      // A standby comes when nobody waits for the start any more.
      ...(record.standbys && state?.phase === 'available' && { standbys: record.standbys }),
    };
  }
}

/** The size counts at once, the directory from the start on that had it in its record: a change of it raises the generation. */
const mounted = ({ sizeBytes, mount }: FilesRecord) => ({
  sizeBytes,
  ...(mount !== undefined && { mountPoint: `/files/${mount}` }),
});
