/**
 * The volume that snapshots of the boot volume are taken of: a copy of the state of the cluster, which the controller has made (`StateCopies`). It is one
 * of all accounts and regions, made when it is wanted first, and no volume of anybody's: no list of EC2 has it.
 *
 * Which database it is one record says (`ec2/boot-mirror`), before that is made; so another database with such a name is left over, and goes. It
 * runs while something is to be copied or a snapshot waits; else it costs no memory.
 *
 * Whoever holds programs for a snapshot has the state copied before that, and leases the copy (`lease`): snapshots that are asked for meanwhile are of
 * that copy, and wait for no other one.
 */
import { type DatabaseRecord, StateCopies, type StateCopy } from '@rokka/databases';
import { isCoded, type Random } from '@rokka/kernel';
import { findDatabase } from '../find-database.ts';
import { RecordStore } from '../record-store.ts';
import type { Ec2Context } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { GIB } from './ec2-records.ts';

export interface BootMirrorRecord {
  /** Of the database, and of its volume: never used again. */
  readonly id: string;
  /** It was there once: where it is not there now, somebody has removed it. */
  readonly made?: true;
  readonly lease?: { readonly version: number; readonly untilMs: number };
}

export type BootMirrorContext = Pick<Ec2Context, 'registry' | 'databases' | 'machines' | 'clock' | 'random'>;

export const BOOT_MIRROR = 'ec2/boot-mirror';
const NAME = /^boot-[0-9a-f]{16}$/;
const newMirrorId = (random: Random) => `boot-${random.hex(8)}`;
export const isMirrorId = (name: string) => NAME.test(name);

/**
 * Of a registry that was taken back from a snapshot: the volume was opened later than that knows of. This one is opened for each snapshot, so it is so for all
 * but the last one.
 */
const OLDER_THAN_NODES = /^(VOLUME_FENCED|QUORUM_RANGE_CONFLICT):/;
/** So many are found removed, one after the other. */
const ATTEMPTS_MAX = 8;
/** What is older lives in snapshots alone. */
const RETENTION_DAYS = 1;

export class BootMirror {
  readonly #of: BootMirrorContext;
  readonly #store: RecordStore;
  readonly #copies: StateCopies;

  constructor(context: BootMirrorContext) {
    this.#of = context;
    this.#store = new RecordStore({ ...context, service: 'ec2' });
    this.#copies = new StateCopies(context);
  }

  /**
   * For a snapshot of the state as it is now, or a little later; while a copy is leased, of that one.
   * @returns the database, and which version it must have
   * @throws OperationNotPermitted
   */
  async want(): Promise<{ database: DatabaseRecord; version: number }> {
    const { databases, clock } = this.#of;
    const { database, lease } = await this.#ensure();
    const isLeased = lease !== undefined && clock.wallMs() < lease.untilMs;
    const version = isLeased ? lease.version : await databases.wantStateCopy(database.name);
    if (database.desired === 'running') return { database, version };
    return { database: await databases.setDesired(database.name, 'running'), version };
  }

  /**
   * A copy of the state as it is now, which counts for all snapshots until it is let go, or the time is over.
   * @returns its version
   * @throws what `want` throws
   */
  async lease(ms: number): Promise<number> {
    const { databases, clock } = this.#of;
    const { database } = await this.#ensure();
    const version = await databases.wantStateCopy(database.name);
    if (database.desired !== 'running') await databases.setDesired(database.name, 'running');
    await this.#store.change<BootMirrorRecord>(BOOT_MIRROR, (found) =>
      found?.id === database.name ? { ...found, lease: { version, untilMs: clock.wallMs() + ms } } : found,
    );
    return version;
  }

  async letGo(version: number): Promise<void> {
    await this.#store.change<BootMirrorRecord>(BOOT_MIRROR, (found) => {
      if (found?.lease?.version !== version) return found;
      const { lease: _, ...rest } = found;
      return rest;
    });
  }

  /** How far it is; undefined where there is none. */
  async copy(): Promise<StateCopy | undefined> {
    const record = await this.#store.get<BootMirrorRecord>(BOOT_MIRROR);
    return record && this.#copies.get(record.id);
  }

  /**
   * For the keeper: it runs as long as it must, and what is left over goes.
   * @param names of databases, read before anything else
   * @param isAwaited whether a snapshot of it is not made yet
   */
  async keep(names: readonly string[], isAwaited: boolean): Promise<void> {
    const { databases, clock, random } = this.#of;
    const record = await this.#store.get<BootMirrorRecord>(BOOT_MIRROR);
    for (const name of names)
      if (isMirrorId(name) && name !== record?.id) await databases.setDesired(name, 'deleted');
    const database = record && (await findDatabase(databases, record.id));
    if (!database || database.desired === 'deleted') return;
    const state = await databases.state(database.name);
    // What is lost with it is a copy; what waited for it fails, and the next one is asked for.
    if (state?.phase === 'failed' && OLDER_THAN_NODES.test(state.reason ?? ''))
      return this.#changeSame(database.name, () => ({ id: newMirrorId(random) }));
    const copy = await this.#copies.get(database.name);
    const desired = decideMirror({ record, database, copy, isAwaited, nowMs: clock.wallMs() });
    if (desired !== database.desired) await databases.setDesired(database.name, desired);
  }

  async #ensure(): Promise<{ database: DatabaseRecord; lease: BootMirrorRecord['lease'] }> {
    const { databases, random } = this.#of;
    const fresh = (): BootMirrorRecord => ({ id: newMirrorId(random) });
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const { value } = await this.#store.change<BootMirrorRecord>(BOOT_MIRROR, (found) => found ?? fresh());
      const { id, made, lease } = value ?? fresh();
      const database = await findDatabase(databases, id);
      const isThere = database !== undefined && database.desired !== 'deleted';
      if (isThere && made) return { database, lease };
      if (isThere) await this.#changeSame(id, (found) => ({ ...found, made: true }));
      else if (database || made) await this.#changeSame(id, fresh);
      else await this.#make(id);
    }
    throw ec2Failures.state('The copy of the boot volume is being removed again and again.');
  }

  async #make(name: string): Promise<void> {
    const machine = (await this.#of.machines()).find(({ isFirst }) => isFirst);
    const sizeBytes = Math.ceil((machine?.bootBytes ?? GIB) / GIB) * GIB;
    try {
      await this.#of.databases.create({
        name,
        engine: 'files',
        files: { sizeBytes, stateCopy: 0 },
        retentionDays: RETENTION_DAYS,
        desired: 'running',
      });
    } catch (error) {
      if (!isCoded(error, 'DATABASE_EXISTS')) throw error;
    }
  }

  async #changeSame(id: string, change: (found: BootMirrorRecord) => BootMirrorRecord): Promise<void> {
    await this.#store.change<BootMirrorRecord>(BOOT_MIRROR, (found) =>
      found?.id === id ? change(found) : found,
    );
  }
}

/** Whether it is to run: pure. */
export function decideMirror(of: {
  record: BootMirrorRecord;
  database: DatabaseRecord;
  copy: StateCopy;
  isAwaited: boolean;
  nowMs: number;
}): 'running' | 'stopped' {
  const { record, database, copy, isAwaited, nowMs } = of;
  const wanted = database.files?.stateCopy ?? 0;
  const isGivenUp = copy.failure !== undefined && (copy.underWay ?? 0) >= wanted;
  const isOpen = !isGivenUp && (copy.version < wanted || copy.underWay !== undefined);
  const isLeased = record.lease !== undefined && nowMs < record.lease.untilMs;
  return isOpen || isAwaited || isLeased ? 'running' : 'stopped';
}
