/**
 * Snapshots of databases, as the registry has them (`snapshots/<name>`): points of their archives that are kept. Whoever wants
 * one writes it down; the controller has the archive reach it, and says so here. It outlives its database.
 */
import { type Clock, isCoded, type Lsn, must, type Random, type VolumeId } from '@rokka/kernel';
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
  /** A copy of which it is not known yet whether it counts: see `copy`. */
  readonly unconfirmed?: boolean;
  /** Who wants it, where that is somebody who removes those that he has lost sight of. */
  readonly owner?: string;
  readonly set?: SnapshotSet;
  /** Of a volume that is a copy of the cluster's state: which version it must have for the snapshot, or a later one. */
  readonly stateCopy?: number;
  /** Of the set, when it is available. */
  readonly cut?: SetCut;
}

/** Snapshots of several databases that show one moment of all: they are made together, or fail together. */
export interface SnapshotSet {
  readonly id: string;
  /** So many have this id; before the last one of them is written down, none is made. */
  readonly size: number;
}

/** The moment that a set shows. */
export interface SetCut {
  readonly atMs: number;
  /** For so long the programs on its volumes stood still, at most. */
  readonly heldMs: number;
}

/** What becomes of a set, decided by one write (`snapshot-sets/<id>`) before any of its snapshots says so. */
type SetOutcome =
  | {
      readonly phase: 'available';
      readonly points: Readonly<Record<string, Lsn>>;
      readonly takenAtMs: number;
      readonly cut?: SetCut;
    }
  | { readonly phase: 'failed'; readonly reason: string };

/** How a snapshot is to be called, where whoever wants it must know before it is there. */
export interface SnapshotWish {
  /** Of `newSnapshotName`; drawn unless given. */
  readonly name?: string;
  readonly owner?: string;
  readonly set?: SnapshotSet;
  readonly stateCopy?: number;
}

export interface SnapshotsOptions {
  registry: Registry;
  secrets: DatabaseSecrets;
  clock: Clock;
  random: Random;
  /** Whether nobody keeps any past: databases move between machines, and no bucket was named. */
  noBucket?: boolean;
  /** Called when something has been written that is to be carried out. */
  onChanged?(): void;
}

const RECORDS = 'snapshots/';
const SETS = 'snapshot-sets/';
const CUTS = 'snapshot-cuts/';
const NAME = /^snap-[0-9a-f]{16}$/;

export class Snapshots {
  readonly #options: SnapshotsOptions;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /**
   * The database as it is when this resolves, or a moment later, shall be kept. Said again with the same name, it is the
   * same snapshot.
   * @throws DATABASE_NO_ARCHIVE, DATABASE_NO_BUCKET
   */
  async request(of: DatabaseRecord, wish: SnapshotWish = {}): Promise<SnapshotRecord> {
    const { clock, random, secrets } = this.#options;
    this.demandBucket(of.name);
    if (of.retentionDays === 0) throw databaseErrors.DATABASE_NO_ARCHIVE([of.name]);
    const { name: database, volumeId, engine, databaseName, userName } = of;
    const record: SnapshotRecord = {
      name: newSnapshotName(random),
      ...wish,
      database,
      volumeId,
      engine,
      databaseName,
      userName,
      requestedAtMs: clock.wallMs(),
      phase: 'creating',
    };
    // The password that is in it: what is restored from it begins with the same.
    return this.#keep(record, await secrets.read(database));
  }

  /**
   * Another snapshot of the same point, which stays when the first one is removed. Said again with the same name, it is the
   * same copy, whatever has become of the first one.
   *
   * A point is kept as long as some record names it. So the copy is written down, and counts once the first one was seen after
   * that: were that gone by then, there might have been a moment in which nobody kept the point.
   * @throws DATABASE_NO_SNAPSHOT, also where the first one is not available
   */
  async copy(from: string, wish: SnapshotWish = {}): Promise<SnapshotRecord> {
    const { registry, random } = this.#options;
    const name = wish.name ?? newSnapshotName(random);
    for (;;) {
      const known = await registry.get<SnapshotRecord>(keyOf(name));
      const settled = known ? await this.#confirm(from, known) : undefined;
      if (settled) return settled;
      if (known) continue;
      const { owner: _, set: __, ...source } = await this.get(from);
      if (source.phase !== 'available' || source.unconfirmed)
        throw databaseErrors.DATABASE_NO_SNAPSHOT([from]);
      await this.#keep({ ...source, ...wish, name, unconfirmed: true }, await this.password(from));
    }
  }

  /** @throws DATABASE_NO_SNAPSHOT */
  async get(name: string): Promise<SnapshotRecord> {
    return (await this.#entry(name)).value;
  }

  /** @throws DATABASE_NO_BUCKET where no snapshot of anything can be made */
  demandBucket(what: string): void {
    if (this.#options.noBucket) throw databaseErrors.DATABASE_NO_BUCKET([what]);
  }

  /** In the order of their names. */
  async list(): Promise<SnapshotRecord[]> {
    return (await this.#options.registry.list<SnapshotRecord>(RECORDS)).map(({ value }) => value);
  }

  /** The superuser's password in it, where it is known. */
  password(name: string): Promise<string | undefined> {
    return this.#options.secrets.read(secretName(name));
  }

  /** For the controller alone: it is there, or will never be. */
  async settle(
    name: string,
    outcome:
      | { phase: 'available'; lsn: Lsn; takenAtMs: number; cut?: SetCut }
      | { phase: 'failed'; reason: string },
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

  /**
   * For the controller alone: all of a set are there, or none will ever be.
   * @param outcome.points of every one of the set, by its name
   */
  async settleSet(id: string, outcome: SetOutcome): Promise<void> {
    const { registry } = this.#options;
    try {
      await registry.put(`${SETS}${id}`, outcome, 0);
    } catch (error) {
      // It was decided before.
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
    }
    await this.finishSets();
  }

  /** For the controller alone: has the snapshots of every set that was decided say so. */
  async finishSets(): Promise<void> {
    const { registry } = this.#options;
    const decided = await registry.list<SetOutcome>(SETS);
    if (decided.length === 0) return;
    const records = await this.list();
    for (const { key, value, revision } of decided) {
      for (const { name, set } of records) {
        if (set === undefined || key !== `${SETS}${set.id}`) continue;
        if (value.phase === 'failed') await this.settle(name, value);
        else {
          const { takenAtMs, points, cut } = value;
          await this.settle(name, {
            phase: 'available',
            lsn: must(points[name]),
            takenAtMs,
            ...(cut && { cut }),
          });
        }
      }
      const cutKey = CUTS + key.slice(SETS.length);
      const cut = await registry.get(cutKey);
      try {
        if (cut) await registry.remove(cutKey, cut.revision);
        await registry.remove(key, revision);
      } catch (error) {
        if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      }
    }
  }

  /**
   * For the controller alone: the programs on the volumes of the set go on. What it shows is going to the archive; should that fail, there may be
   * another moment, which is told in the same way.
   */
  async tellCut(set: string, cut: SetCut): Promise<void> {
    const { registry } = this.#options;
    const known = await registry.get(CUTS + set);
    await registry.put(CUTS + set, cut, known?.revision ?? 0);
  }

  /** The moment that the set shows, or will show if nothing comes between; undefined before, and once its snapshots say it. */
  async cutOf(set: string): Promise<SetCut | undefined> {
    return (await this.#options.registry.get<SetCut>(CUTS + set))?.value;
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
    if (NAME.test(name)) await secrets.remove(secretName(name));
  }

  /** Undefined where somebody else was faster. @throws DATABASE_NO_SNAPSHOT where it does not count */
  async #confirm(
    from: string,
    { key, value, revision }: RegistryEntry<SnapshotRecord>,
  ): Promise<SnapshotRecord | undefined> {
    const { registry, secrets } = this.#options;
    const { unconfirmed, ...record } = value;
    if (!unconfirmed) return record;
    const source = await registry.get(keyOf(from));
    try {
      if (source) {
        await registry.put(key, record, revision);
        return record;
      }
      await registry.remove(key, revision);
    } catch (error) {
      if (isCoded(error, 'REGISTRY_CONFLICT')) return undefined;
      throw error;
    }
    await secrets.remove(secretName(record.name));
    throw databaseErrors.DATABASE_NO_SNAPSHOT([from]);
  }

  async #keep(record: SnapshotRecord, password: string | undefined): Promise<SnapshotRecord> {
    const { registry, secrets, onChanged } = this.#options;
    const key = keyOf(record.name);
    const known = await registry.get<SnapshotRecord>(key);
    if (known) return known.value;
    if (password !== undefined) await secrets.begin(secretName(record.name), password);
    try {
      await registry.put(key, record, 0);
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      return this.get(record.name);
    }
    onChanged?.();
    return record;
  }

  async #entry(name: string): Promise<RegistryEntry<SnapshotRecord>> {
    const entry = NAME.test(name) ? await this.#options.registry.get<SnapshotRecord>(keyOf(name)) : undefined;
    if (!entry) throw databaseErrors.DATABASE_NO_SNAPSHOT([name]);
    return entry;
  }
}

/** A name that no snapshot has yet. */
export const newSnapshotName = (random: Random) => `snap-${random.hex(8)}`;

const keyOf = (name: string) => `${RECORDS}${name}`;
/** No database has a name with a dot. */
const secretName = (name: string) => `snapshot.${name}`;
