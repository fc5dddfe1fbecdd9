/**
 * Steps the states of databases and snapshots as the controller in the supervisor does, without processes: one phase a step, and
 * each written as it is. What is to fail, the test says.
 */
import { asLsn, type Clock } from '@rokka/kernel';
import type { DatabaseEntry, Databases, DatabaseSecrets, DatabaseState, Snapshots } from '@rokka/databases';

export interface FakeControllerOptions {
  readonly databases: Databases;
  readonly snapshots: Snapshots;
  readonly secrets: DatabaseSecrets;
  readonly clock: Clock;
}

export class FakeController {
  /** Why no database starts. */
  startsFail: string | undefined;
  /** Why no snapshot is made. */
  snapshotsFail: string | undefined;
  snapshotsWait = false;
  readonly #of: FakeControllerOptions;

  constructor(options: FakeControllerOptions) {
    this.#of = options;
  }

  async step(): Promise<void> {
    for (const entry of await this.#of.databases.entries()) await this.#look(entry);
    for (const { name, phase } of await this.#of.snapshots.list())
      if (phase === 'creating' && !this.snapshotsWait) await this.#settle(name);
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
    const { endpoint: _, reason: __, ...known } = state ?? {};
    const next = { ...known, ...this.#next(entry), atMs: clock.wallMs() };
    if (JSON.stringify(next) !== JSON.stringify(state)) await databases.observe(record.name, next);
    const password = secrets.read(record.name);
    if (next.phase === 'available' && password !== undefined) secrets.wasSet(record.name, password);
  }

  #next({ record, state }: DatabaseEntry): Omit<DatabaseState, 'atMs'> {
    const phase = state?.phase;
    const runs = phase === 'available' || phase === 'stopping';
    if (record.desired === 'deleted') return { phase: 'deleting' };
    if (record.desired === 'stopped') return { phase: phase === 'available' ? 'stopping' : 'stopped' };
    if (phase === 'available' && state?.generation === record.generation) return this.#serving(record, state);
    if (runs && state?.generation !== record.generation && phase === 'available')
      return { phase: 'stopping' };
    if (this.startsFail !== undefined) return { phase: 'failed', reason: this.startsFail };
    if (phase === 'starting' || phase === 'creating') return this.#serving(record, state);
    return { phase: state?.generation === undefined ? 'creating' : 'starting' };
  }

  #serving(record: DatabaseEntry['record'], state: DatabaseEntry['state']): Omit<DatabaseState, 'atMs'> {
    return {
      phase: 'available',
      generation: record.generation,
      // A password is told to a server that serves, at the next step.
      passwordVersion:
        state?.phase === 'available'
          ? record.passwordVersion
          : (state?.passwordVersion ?? record.passwordVersion),
      endpoint: { host: '127.0.0.1', port: record.port },
    };
  }
}
