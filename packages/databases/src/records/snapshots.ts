/**
 * Snapshots of databases, as the registry has them (`snapshots/<name>`): points of their archives that are kept. Whoever wants
 * one writes it down; the controller has the archive reach it, and says so here. It outlives its database.
 */
import { type Clock, isCoded, type Lsn, type Random, type VolumeId } from '@rokka/kernel';
import type { Registry, RegistryEntry } from '@rokka/registry';
import { databaseErrors } from '../errors.ts';
import { type DatabaseEngine, type DatabaseRecord } from './database-record.ts';
import type { DatabaseSecrets } from './database-secrets.ts';

export type SnapshotPhase = 'creating' | 'available' | 'failed';

export interface SnapshotRecord {
  /** `snap-` and sixteen hexadecimal digits. */
  readonly name: string;
  readonly database: string;
  /** Whose archive has it. */
  readonly volumeId: VolumeId;
  readonly engine: DatabaseEngine;
  readonly databaseName: string;
  readonly userName: string;
  readonly requestedAtMs: number;
  readonly phase: SnapshotPhase;
  /** From here on when it is available: the point, and when that was. */
  readonly lsn?: Lsn;
  readonly takenAtMs?: number;
  /** Why it failed. */
  readonly reason?: string;
}

export interface SnapshotsOptions {
  registry: Registry;
  secrets: DatabaseSecrets;
  clock: Clock;
  random: Random;
  /** Called when something has been written that is to be carried out. */
  onChanged?(): void;
}

const RECORDS = 'snapshots/';
const NAME = /^snap-[0-9a-f]{16}$/;

export class Snapshots {
  readonly #options: SnapshotsOptions;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** The database as it is when this resolves, or a moment later, shall be kept. @throws DATABASE_NO_ARCHIVE */
  async request(of: DatabaseRecord): Promise<SnapshotRecord> {
    const { registry, clock, random, secrets, onChanged } = this.#options;
    if (of.retentionDays === 0) throw databaseErrors.DATABASE_NO_ARCHIVE([of.name]);
    const { name: database, volumeId, engine, databaseName, userName } = of;
    const record: SnapshotRecord = {
      name: `snap-${random.hex(8)}`,
      database,
      volumeId,
      engine,
      databaseName,
      userName,
      requestedAtMs: clock.wallMs(),
      phase: 'creating',
    };
    // The password that is in it: what is restored from it begins with the same.
    const password = secrets.read(database);
    if (password !== undefined) secrets.begin(secretName(record.name), password);
    await registry.put(keyOf(record.name), record, 0);
    onChanged?.();
    return record;
  }

  /** @throws DATABASE_NO_SNAPSHOT */
  async get(name: string): Promise<SnapshotRecord> {
    return (await this.#entry(name)).value;
  }

  /** In the order of their names. */
  async list(): Promise<SnapshotRecord[]> {
    return (await this.#options.registry.list<SnapshotRecord>(RECORDS)).map(({ value }) => value);
  }

  /** The superuser's password in it, where it is known. */
  password(name: string): string | undefined {
    return this.#options.secrets.read(secretName(name));
  }

  /** For the controller alone: it is there, or will never be. */
  async settle(
    name: string,
    outcome: { phase: 'available'; lsn: Lsn; takenAtMs: number } | { phase: 'failed'; reason: string },
  ): Promise<void> {
    const { registry } = this.#options;
    try {
      const { key, value, revision } = await this.#entry(name);
      if (value.phase === 'creating') await registry.put(key, { ...value, ...outcome }, revision);
    } catch (error) {
      // Somebody has removed it, or settled it.
      if (!isCoded(error, 'REGISTRY_CONFLICT') && !isCoded(error, 'DATABASE_NO_SNAPSHOT')) throw error;
    }
  }

  /** Nobody wants it any more; what it alone keeps goes from the archive by and by. OK where it is not there. */
  async remove(name: string): Promise<void> {
    const { registry, secrets } = this.#options;
    for (;;) {
      const entry = NAME.test(name) ? await registry.get(keyOf(name)) : undefined;
      if (!entry) break;
      try {
        await registry.remove(entry.key, entry.revision);
      } catch (error) {
        if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      }
    }
    if (NAME.test(name)) secrets.remove(secretName(name));
  }

  async #entry(name: string): Promise<RegistryEntry<SnapshotRecord>> {
    const entry = NAME.test(name) ? await this.#options.registry.get<SnapshotRecord>(keyOf(name)) : undefined;
    if (!entry) throw databaseErrors.DATABASE_NO_SNAPSHOT([name]);
    return entry;
  }
}

const keyOf = (name: string) => `${RECORDS}${name}`;
/** No database has a name with a dot. */
const secretName = (name: string) => `snapshot.${name}`;
