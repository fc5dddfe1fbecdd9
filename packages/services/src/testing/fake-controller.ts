/**
 * Steps the states of databases and snapshots as the controller in the supervisor does, without processes: one phase a step, and
 * each written as it is. What is to fail, the test says.
 */
import { asLsn, type Clock } from '@rokka/kernel';
import type {
  DatabaseEntry,
  Databases,
  DatabaseSecrets,
  DatabaseState,
  FilesRecord,
  Snapshots,
} from '@rokka/databases';

export interface FakeControllerOptions {
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
  readonly #of: FakeControllerOptions;

  constructor(options: FakeControllerOptions) {
    this.#of = options;
  }

  async step(): Promise<void> {
    for (const entry of await this.#of.databases.entries()) await this.#look(entry);
    const kept = await this.#of.snapshots.list();
    for (const { name, phase, set } of kept) {
      // Of a set none before all of them are written down.
      const isWhole = !set || kept.filter((each) => each.set?.id === set.id).length === set.size;
      if (phase === 'creating' && isWhole && !this.snapshotsWait) await this.#settle(name);
    }
  }

  async #settle(name: string): Promise<void> {
    const { snapshots, clock } = this.#of;
    await snapshots.settle(
      name,
      this.snapshotsFail === undefined
        ? { phase: 'available', lsn: asLsn(77), takenAtMs: clock.wallMs() }
        : { phase: 'failed', reason: this.snapshotsFail },
    );
  }

  async #look(entry: DatabaseEntry): Promise<void> {
    const { databases, secrets, clock } = this.#of;
    const { record, state } = entry;
    if (record.desired === 'deleted' && state?.phase === 'deleting') {
      secrets.remove(record.name);
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
    const password = secrets.read(record.name);
    if (next.phase === 'available' && password !== undefined) secrets.wasSet(record.name, password);
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
