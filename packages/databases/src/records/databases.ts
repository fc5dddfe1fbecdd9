/**
 * The databases of a cluster as the registry has them, and the only ways in which their records change: each by
 * compare-and-set on what was read, so that two wishes at once both count, or one is refused.
 *
 * A wish is durable when its call resolves. Nothing has happened by then: the controller carries it out, and says in the
 * database's state how far it is.
 */
import { isDeepStrictEqual } from 'node:util';
import { assert, type Clock, isCoded, must, type Random, type VolumeId } from '@rokka/kernel';
import type { Registry, RegistryEntry } from '@rokka/registry';
import { databaseErrors } from '../errors.ts';
import { generatePassword } from '../native/initialise.ts';
import {
  type DatabaseEngine,
  type DatabaseRecord,
  type DatabaseSource,
  type DatabaseState,
  demandFiles,
  demandNames,
  type DesiredState,
  type FilesRecord,
  type FirstDatabaseRecord,
  MAIN,
  upgradeDatabase,
} from './database-record.ts';
import type { DatabaseSecrets } from './database-secrets.ts';
import { stateCopyKey } from './state-copies.ts';

export interface DatabasesOptions {
  registry: Registry;
  secrets: DatabaseSecrets;
  clock: Clock;
  random: Random;
  /** Whether they move between machines, and the state of the cluster with them: no machine's directory has it. */
  moves?: boolean;
  /** Whether no other program listens there. */
  isPortFree?(port: number): Promise<boolean>;
  /** Called when a wish has been written, so that it is carried out at once. */
  onChanged?(): void;
}

export interface NewDatabase {
  readonly name: string;
  readonly engine: DatabaseEngine;
  /** The next free one from `portsFrom` on where absent. */
  readonly port?: number;
  readonly portsFrom?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** `postgres` unless given. */
  readonly databaseName?: string;
  /** `postgres` unless given. */
  readonly userName?: string;
  /** A generated one unless given. */
  readonly password?: string;
  readonly cacheMiB?: number;
  readonly source?: DatabaseSource;
  /** 1 unless given; 0 for no archive. */
  readonly retentionDays?: number;
  /** `running` unless given. */
  readonly desired?: DesiredState;
  /** With the engine `files`: it has neither port, user nor password, and its volume has its name. */
  readonly files?: FilesRecord;
}

/** What may be changed of a database. It counts from its next start on, unless its record says otherwise: see `restart`. */
export type DatabaseChange = Partial<
  Pick<DatabaseRecord, 'settings' | 'port' | 'cacheMiB' | 'retentionDays' | 'files' | 'standbys'>
>;

export interface DatabaseEntry {
  readonly record: DatabaseRecord;
  /** Of the record, in the registry. */
  readonly revision: number;
  readonly state: DatabaseState | undefined;
}

const RECORDS = 'databases/';
const STATES = 'database-states/';
export const PORTS_FROM = 5433;
/** So many ports are looked at for a free one. */
const PORTS_LOOKED_AT = 1_000;
const PORT_MAX = 65_535;
const ATTEMPTS_MAX = 50;
const PORTS = 'database-ports';
/** Between the choice of a port and the record that has it. */
const CLAIM_MS = 10_000;

/** Ports that were given away just now: their records may not be there yet, and another process chooses too. */
interface PortClaims {
  readonly claims: readonly { port: number; name: string; atMs: number }[];
}

/** As of the API that people know. */
const RETENTION_DAYS = 1;

export class Databases {
  readonly #options: DatabasesOptions;
  /** One after the other: a name that is taken is refused before its password is touched. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DatabasesOptions) {
    this.#options = options;
  }

  /** Whether they move between machines. */
  get moves(): boolean {
    return this.#options.moves ?? false;
  }

  /**
   * A database shall be, and run.
   * @throws DATABASE_NAME_INVALID, DATABASE_EXISTS, DATABASE_PORT_TAKEN, DATABASE_PORTS_EXHAUSTED
   */
  create(wish: NewDatabase): Promise<DatabaseRecord> {
    const mine = this.#turn.then(() => this.#create(wish));
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /** @throws DATABASE_NONE */
  async get(name: string): Promise<DatabaseRecord> {
    return upgradeDatabase((await this.#entry(name)).value);
  }

  /** In the order of their names. */
  async list(): Promise<DatabaseRecord[]> {
    const entries = await this.#options.registry.list<DatabaseRecord>(RECORDS);
    return entries.map(({ value }) => upgradeDatabase(value));
  }

  /** Undefined where nothing has been done for it yet. */
  async state(name: string): Promise<DatabaseState | undefined> {
    return (await this.#options.registry.get<DatabaseState>(stateKey(name)))?.value;
  }

  /** By name. */
  async states(): Promise<Map<string, DatabaseState>> {
    const entries = await this.#options.registry.list<DatabaseState>(STATES);
    return new Map(entries.map(({ key, value }) => [key.slice(STATES.length), value]));
  }

  /** Records and states together. */
  async entries(): Promise<DatabaseEntry[]> {
    const records = await this.#options.registry.list<DatabaseRecord>(RECORDS);
    const states = await this.states();
    return records.map(({ value, revision }) => {
      const record = upgradeDatabase(value);
      return { record, revision, state: states.get(record.name) };
    });
  }

  /**
   * It shall run, stand still, or go with everything in it. What is being deleted stays so. Who stops it ends its generation:
   * if it shall run again before its head has ended, that head does not go on with what it was started with.
   * @throws DATABASE_NONE, DATABASE_DELETED, DATABASE_MAIN_STAYS
   */
  async setDesired(name: string, desired: DesiredState): Promise<DatabaseRecord> {
    if (name === MAIN && desired !== 'running') throw databaseErrors.DATABASE_MAIN_STAYS([desired]);
    const change = (record: DatabaseRecord) => {
      const stops = desired === 'stopped' && record.desired === 'running';
      return { ...record, desired, generation: record.generation + (stops ? 1 : 0) };
    };
    return this.#change(name, change, { alsoDeleted: desired === 'deleted' });
  }

  /** @throws DATABASE_NONE, DATABASE_DELETED */
  restart(name: string): Promise<DatabaseRecord> {
    return this.#change(name, (record) => ({ ...record, generation: record.generation + 1 }));
  }

  /**
   * @param options.restart in the same write, where it shall run and the change is one: it counts at once
   * @param options.generation likewise, whatever changes, unless it has come that far: so several may ask for one restart
   * @throws DATABASE_NONE, DATABASE_DELETED, DATABASE_PORT_TAKEN, DATABASE_MAIN_STAYS, DATABASE_NAME_INVALID
   */
  async change(
    name: string,
    change: DatabaseChange,
    options: { restart?: boolean; generation?: number } = {},
  ): Promise<DatabaseRecord> {
    const { port, files } = change;
    if (files) demandFiles(files);
    if (name === MAIN && port !== undefined) throw databaseErrors.DATABASE_MAIN_STAYS(['moved']);
    if (port !== undefined) await this.#claimPort(name, { port });
    return this.#change(name, (record) => {
      const changed = { ...record, ...change };
      const restarts =
        options.restart === true && record.desired === 'running' && !isDeepStrictEqual(changed, record);
      const generation = Math.max(record.generation + (restarts ? 1 : 0), options.generation ?? 0);
      return { ...changed, generation };
    });
  }

  /**
   * Its files shall be a copy of the cluster's state as it is from now on, or later.
   * @returns the version of the copy that is
   * @throws DATABASE_NONE, DATABASE_DELETED
   */
  async wantStateCopy(name: string): Promise<number> {
    const { files } = await this.#change(name, (record) => {
      const { stateCopy } = record.files ?? {};
      assert(record.files && stateCopy !== undefined, () => `${name} is no copy of the state`);
      return { ...record, files: { ...record.files, stateCopy: stateCopy + 1 } };
    });
    return must(files?.stateCopy);
  }

  /** The superuser shall have this password. @throws DATABASE_NONE, DATABASE_DELETED, DATABASE_NAME_INVALID */
  async setPassword(name: string, password: string): Promise<DatabaseRecord> {
    const { desired } = await this.get(name);
    if (desired === 'deleted') throw databaseErrors.DATABASE_DELETED([name]);
    await this.#options.secrets.change(name, password);
    return this.#change(name, (record) => ({ ...record, passwordVersion: record.passwordVersion + 1 }));
  }

  /** The superuser's password as it shall be, where it is known: what is restored from the database begins with it. */
  password(name: string): Promise<string | undefined> {
    return this.#options.secrets.read(name);
  }

  /** For the supervisor: `rokka up` says where main listens. @throws DATABASE_NONE */
  async moveMain(port: number): Promise<DatabaseRecord> {
    const record = await this.get(MAIN);
    if (record.port === port) return record;
    return this.#change(MAIN, (known) => ({ ...known, port }));
  }

  /** For the controller alone: how far the database is. */
  async observe(name: string, state: DatabaseState): Promise<void> {
    const { registry } = this.#options;
    await this.#trying(name, async () => {
      const entry = await registry.get<DatabaseState>(stateKey(name));
      await registry.put(stateKey(name), state, entry?.revision ?? 0);
    });
  }

  /** For the controller alone, which begins: nothing runs, whatever was said when the one before it ended. */
  async beginAnew(): Promise<void> {
    for (const { record, state } of await this.entries()) {
      if (state?.phase !== 'available') continue;
      const { endpoint: _, standbys: __, ...rest } = state;
      await this.observe(record.name, { ...rest, phase: 'starting', atMs: this.#options.clock.wallMs() });
    }
  }

  /** For the controller alone: nothing of the database is left. The record goes last, so that a crash repeats this. */
  async remove(name: string): Promise<void> {
    const { registry } = this.#options;
    // While its record is there, so that no other one of the name has a claim yet.
    await this.#trying(name, async () => {
      const known = await registry.get<PortClaims>(PORTS);
      const claims = known?.value.claims.filter((claim) => claim.name !== name);
      if (!known || claims?.length === known.value.claims.length) return;
      await registry.put(PORTS, { claims }, known.revision);
    });
    for (const key of [stateCopyKey(name), stateKey(name), recordKey(name)])
      await this.#trying(name, async () => {
        const entry = await registry.get(key);
        if (entry) await registry.remove(key, entry.revision);
      });
  }

  async #create(wish: NewDatabase): Promise<DatabaseRecord> {
    const { registry, secrets, clock, random, onChanged } = this.#options;
    const { name, engine, settings = {}, cacheMiB, source, password, files } = wish;
    const hasServer = engine !== 'files';
    const { databaseName = hasServer ? 'postgres' : '', userName = hasServer ? 'postgres' : '' } = wish;
    demandNames({ name, engine, databaseName, userName, ...(files && { files }) });
    if (name === MAIN || (await registry.get(recordKey(name)))) throw databaseErrors.DATABASE_EXISTS([name]);
    const port = hasServer ? await this.#claimPort(name, wish) : 0;
    const record: DatabaseRecord = {
      name,
      engine,
      volumeId: (hasServer ? `vol-${random.hex(8)}` : name) as VolumeId,
      createdAtMs: clock.wallMs(),
      port,
      desired: wish.desired ?? 'running',
      generation: 0,
      settings,
      databaseName,
      userName,
      passwordVersion: 0,
      retentionDays: wish.retentionDays ?? RETENTION_DAYS,
      ...(cacheMiB === undefined ? {} : { cacheMiB }),
      ...(source && { source }),
      ...(files && { files }),
    };
    // Before the record: the server is made with it as soon as that is there.
    if (hasServer) await secrets.begin(name, password ?? generatePassword(random));
    try {
      await registry.put(recordKey(name), record, 0);
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      throw databaseErrors.DATABASE_EXISTS([name], { cause: error });
    }
    onChanged?.();
    return record;
  }

  /** The one that is wished, or a free one: nobody else is given it, in this process or another. */
  #claimPort(name: string, wish: Pick<NewDatabase, 'port' | 'portsFrom'>): Promise<number> {
    const { registry, clock } = this.#options;
    return this.#trying(name, async () => {
      // Before the records are read: who claims after this makes the write below fail.
      const known = await registry.get<PortClaims>(PORTS);
      const atMs = clock.wallMs();
      const others = (known?.value.claims ?? []).filter(
        (claim) => claim.name !== name && Math.abs(atMs - claim.atMs) < CLAIM_MS,
      );
      const records = (await this.list()).filter((record) => record.name !== name);
      const holders = new Map([...others, ...records].map((holder) => [holder.port, holder.name]));
      const holder = wish.port !== undefined && holders.get(wish.port);
      if (holder) throw databaseErrors.DATABASE_PORT_TAKEN([wish.port, holder]);
      const port = wish.port ?? (await this.#freePort(wish.portsFrom ?? PORTS_FROM, holders));
      await registry.put(PORTS, { claims: [...others, { port, name, atMs }] }, known?.revision ?? 0);
      return port;
    });
  }

  async #freePort(from: number, taken: ReadonlyMap<number, string>): Promise<number> {
    const { isPortFree } = this.#options;
    const to = Math.min(PORT_MAX, from + PORTS_LOOKED_AT - 1);
    for (let port = from; port <= to; port++)
      if (!taken.has(port) && (!isPortFree || (await isPortFree(port)))) return port;
    throw databaseErrors.DATABASE_PORTS_EXHAUSTED([from, to]);
  }

  async #change(
    name: string,
    change: (record: DatabaseRecord) => DatabaseRecord,
    options: { alsoDeleted?: boolean } = {},
  ): Promise<DatabaseRecord> {
    const { registry, onChanged } = this.#options;
    const changed = await this.#trying(name, async () => {
      const { key, value, revision } = await this.#entry(name);
      const record = upgradeDatabase(value);
      if (record.desired === 'deleted' && !options.alsoDeleted) throw databaseErrors.DATABASE_DELETED([name]);
      const next = change(record);
      await registry.put(key, next, revision);
      return next;
    });
    onChanged?.();
    return changed;
  }

  /** Reads and writes until nobody else was faster. */
  async #trying<T>(name: string, attempt: () => Promise<T>): Promise<T> {
    for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
      try {
        return await attempt();
      } catch (error) {
        if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      }
    }
    throw databaseErrors.DATABASE_CHANGED_OFTEN([name, ATTEMPTS_MAX]);
  }

  async #entry(name: string): Promise<RegistryEntry<DatabaseRecord | FirstDatabaseRecord>> {
    // Whatever else a caller may have got as a name is no key of the registry.
    const isName = /^[a-z][a-z0-9-]{0,62}$/.test(name);
    const entry = isName ? await this.#options.registry.get<DatabaseRecord>(recordKey(name)) : undefined;
    if (!entry) throw databaseErrors.DATABASE_NONE([name]);
    return entry;
  }
}

const recordKey = (name: string) => `${RECORDS}${name}`;
const stateKey = (name: string) => `${STATES}${name}`;
