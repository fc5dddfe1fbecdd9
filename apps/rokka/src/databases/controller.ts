/**
 * Carries out what the records of databases say: looks at all of them again and again, decides for each what to do next
 * (decision.ts), writes what it is about to be, and does it. There is one controller in a cluster: in the supervisor that
 * holds the data directory's lock, or, where several machines may run the databases, the place (head-place.ts).
 *
 * - What is under way is in the registry before it begins; a controller that comes after a crash goes on from there.
 * - `main` starts first and alone. If it cannot, or ends for good, `rokka up` ends with it.
 * - Of the others at most STARTS_MAX start at a time: each is a recovery and an initdb or redo, on one machine.
 */
import {
  type Clock,
  type CodedError,
  Deferred,
  describeError,
  isCoded,
  type Random,
  type VolumeId,
} from '@rokka/kernel';
import {
  applyPassword,
  type DatabaseEntry,
  type DatabaseRecord,
  type Databases,
  type DatabaseSecrets,
  MAIN,
  type Snapshots,
  type StateCopies,
} from '@rokka/databases';
import type { DeletionOutcome } from '@rokka/volume';
import { DatabaseUnit, demandCoded, type Head, type UnitOptions } from './database-unit.ts';
import { rokkaErrors } from '../errors.ts';
import { decide, type Facts, LATE_MS, stateAfter, type Step } from './decision.ts';
import { describeDatabase, type DatabaseStatus } from './database-status.ts';
import type { NextHead } from './next-head.ts';
import type { Connection } from '../processes/engine.ts';
import { SnapshotTaker, type SnapshotTakerOptions } from './snapshot-taker.ts';

const HOW_IT_ENDS = { running: 'again', stopped: 'in-order', deleted: 'at-once' } as const;
const LOOK_AGAIN_MS = 250;
const STARTS_MAX = 2;
/** A start that takes longer holds nobody up any more: it waits for something. */
const TURN_MS = 30_000;
/** How often nodes that were away are looked for that still have a part of a deleted database. */
const SWEEP_MS = 10_000;

export interface ControllerOptions {
  databases: Databases;
  secrets: DatabaseSecrets;
  clock: Clock;
  random: Random;
  makeHead: UnitOptions['makeHead'];
  /** What waits for the next database to begin; the controller's from here on. */
  nextHead?: Pick<NextHead, 'kill' | typeof Symbol.asyncDispose>;
  /** Makes the volume where it is not there yet. */
  makeVolume(record: DatabaseRecord): Promise<void>;
  /** Has all nodes drop it that are there. */
  dropVolume(volumeId: VolumeId, signal: AbortSignal): Promise<DeletionOutcome>;
  /** Volumes whose deletion has not reached every node. */
  halfDropped(): Promise<readonly VolumeId[]>;
  snapshots: Snapshots;
  copies: StateCopies;
  endOf: SnapshotTakerOptions['endOf'];
  /** What a server that was killed left outside of its volume. */
  removeSockets(record: DatabaseRecord): void;
  /** Main ended and must not be started again. */
  onMainFinal(error: CodedError): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

export class DatabaseController implements AsyncDisposable {
  readonly #options: ControllerOptions;
  readonly #units = new Map<string, DatabaseUnit>();
  readonly #stopping = new AbortController();
  readonly #mainServes = new Deferred<void>();
  #mainServed = false;
  /** Whose turn it is, before their heads are made. */
  readonly #beginning = new Set<DatabaseUnit>();
  #news = new Deferred<void>();
  #loop: Promise<void> | undefined;
  #sweep: Promise<void> | undefined;
  #sweepAtMs = 0;
  #lastComplaint = '';
  /** Of records as they stand, as they were seen last. */
  readonly #failures = new Map<string, string>();
  readonly #taker: SnapshotTaker;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const failureOf = (name: string) => this.#failures.get(name);
    this.#taker = new SnapshotTaker({ ...options, head: (name) => this.head(name), failureOf });
    this.#mainServes.promise.catch(() => {});
  }

  /** Begins; resolves when main serves. @throws why it does not; the others come later */
  start(): Promise<void> {
    this.#loop = this.#run();
    return this.#mainServes.promise;
  }

  head(name: string): Head | undefined {
    return this.#units.get(name)?.child;
  }

  get mainConnection() {
    return this.connection(MAIN);
  }

  connection(name: string): Connection | undefined {
    return this.#units.get(name)?.connection;
  }

  /** A record has changed: look at once. */
  nudge(): void {
    this.#news.resolve();
  }

  async status(): Promise<DatabaseStatus[]> {
    const entries = await this.#options.databases.entries();
    return Promise.all(entries.map((entry) => describeDatabase(entry, this.#units.get(entry.record.name))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the controller stops'));
    this.#news.resolve();
    this.#mainServes.reject(rokkaErrors.ROKKA_STOPPED(['the database']));
    // A child is told to stop before the loop is waited for: it may be what the loop waits for.
    const stopped = [...this.#units.values()].map((unit) => unit.stop());
    await Promise.all([...stopped, this.#options.nextHead?.[Symbol.asyncDispose]()]);
    await this.#loop;
    await this.#sweep;
  }

  /** Ends every head without asking. Dispose it as well. */
  kill(): void {
    this.#stopping.abort(new Error('the controller stops'));
    for (const unit of this.#units.values()) unit.kill();
    this.#options.nextHead?.kill();
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stopping.signal.aborted) {
      this.#news = new Deferred<void>();
      try {
        await this.#pass();
        this.#lastComplaint = '';
      } catch (error) {
        // The registry does not answer. Everything that runs goes on meanwhile.
        if (!isCoded(error)) throw error;
        this.#complain(`databases are not looked after: ${describeError(error)}`);
      }
      const cancel = clock.after(LOOK_AGAIN_MS, () => this.#news.resolve(), { keepAlive: true });
      await this.#news.promise.finally(cancel);
    }
  }

  async #pass(): Promise<void> {
    const entries = await this.#options.databases.entries();
    const changing = await this.#options.secrets.changing();
    this.#failures.clear();
    for (const { record, revision } of entries) {
      const failure = this.#units.get(record.name)?.failure;
      if (failure?.revision === revision) this.#failures.set(record.name, failure.reason);
    }
    for (const entry of entries) {
      if (this.#stopping.signal.aborted) return;
      await this.#look(entry, changing.has(entry.record.name));
    }
    for (const [name, unit] of this.#units) {
      if (unit.busy || entries.some(({ record }) => record.name === name)) continue;
      // Nobody wants it any more.
      await unit.letGo();
      if (unit.child) unit.end('at-once');
      else this.#units.delete(name);
    }
    await this.#taker.look(entries.map(({ record }) => record));
    this.#sweepSometimes();
  }

  async #look({ record, revision, state }: DatabaseEntry, passwordIsNew: boolean): Promise<void> {
    const { clock, databases } = this.#options;
    const unit = this.#unit(record.name);
    if (unit.busy) return;
    if (record.desired !== 'running') await unit.letGo();
    const facts: Facts = {
      record,
      revision,
      state,
      child: unit.facts(),
      failure: unit.failure,
      mayStart: this.#mayStart(record.name),
      passwordIsNew,
      nowMs: clock.nowMs(),
      endedOn: unit.endedOn,
      isAwaited: this.#taker.awaits(record.name),
    };
    const decision = decide(facts);
    const next = stateAfter(facts, decision);
    if (next) await databases.observe(record.name, { ...next, atMs: clock.wallMs() });
    if (this.#stopping.signal.aborted) return;
    this.#take(decision.step, unit, { record, revision, state });
  }

  #take(step: Step, unit: DatabaseUnit, entry: DatabaseEntry): void {
    const { record, revision } = entry;
    switch (step) {
      case 'none':
        return;
      case 'start':
        this.#beginning.add(unit);
        return unit.carryOut(() => this.#trying(unit, revision, () => this.#start(unit, entry)));
      case 'end':
        return unit.end(HOW_IT_ENDS[record.desired]);
      case 'end-there':
        return unit.endThere(record, revision);
      case 'abandon':
        return unit.abandon();
      case 'give-up':
        unit.failed(unit.child?.lastError ?? rokkaErrors.ROKKA_CHILD_LATE(['head', LATE_MS]), revision);
        return unit.end('at-once');
      case 'set-password':
        return unit.carryOut(() => this.#trying(unit, revision, () => this.#setPassword(unit, entry)));
      case 'resize':
        return unit.carryOut(() => this.#trying(unit, revision, () => this.#resize(unit, record)));
      case 'keep-standbys':
        unit.keepStandbys(record.standbys ?? 0);
        return this.nudge();
      case 'delete':
        return unit.carryOut(() => this.#trying(unit, revision, () => this.#delete(record)));
    }
  }

  /** What the world refuses is tried again later. */
  async #trying(unit: DatabaseUnit, revision: number, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      demandCoded(error);
      if (isCoded(error, 'DATABASE_PASSWORD_UNKNOWN') && unit.forgetPassword()) return;
      unit.failed(error, revision);
    }
  }

  async #start(unit: DatabaseUnit, entry: DatabaseEntry): Promise<void> {
    try {
      await this.#begin(unit, entry);
    } finally {
      this.#beginning.delete(unit);
    }
  }

  async #begin(unit: DatabaseUnit, { record, revision }: DatabaseEntry): Promise<void> {
    const { secrets, random, makeVolume } = this.#options;
    if (record.engine !== 'files') await secrets.ensure(record.name, random);
    if (record.name !== MAIN) await makeVolume(record);
    await unit.whenGone();
    if (this.#stopping.signal.aborted) return;
    const serves = unit.start(record, revision);
    if (record.name !== MAIN || this.#mainServed) return;
    serves.then(
      () => {
        this.#mainServed = true;
        this.#mainServes.resolve();
      },
      (error: unknown) => this.#mainServes.reject(error as CodedError),
    );
  }

  async #setPassword(unit: DatabaseUnit, { record, state }: DatabaseEntry): Promise<void> {
    const { databases, secrets, clock } = this.#options;
    const { name, passwordVersion, userName, engine } = record;
    const wanted = await secrets.read(name);
    if (wanted === undefined || !unit.connection || !state) return;
    const { host, port } = unit.connection;
    // PGlite was started with it.
    if (engine === 'native')
      await applyPassword({ host, port, user: userName, wanted, before: await secrets.before(name) });
    await secrets.wasSet(name, wanted);
    const { reason: _, ...rest } = state;
    await databases.observe(name, { ...rest, passwordVersion, atMs: clock.wallMs() });
    unit.succeeded();
  }

  async #resize(unit: DatabaseUnit, { files }: DatabaseRecord): Promise<void> {
    if (!files) return;
    await unit.resize(files.sizeBytes);
    unit.succeeded();
  }

  /** Its record goes last: until then all of this is done again after a crash. */
  async #delete(record: DatabaseRecord): Promise<void> {
    const { dropVolume, removeSockets, secrets, databases, onLog } = this.#options;
    const { left } = await dropVolume(record.volumeId, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    if (left.length > 0) {
      // The volume's own record says so until they are back; the database needs not wait for that.
      onLog('warn', `database ${record.name} is deleted; ${left.join(', ')} will drop it when they are back`);
      this.#sweepAtMs = 0;
    }
    removeSockets(record);
    await secrets.remove(record.name);
    await databases.remove(record.name);
    onLog('info', `database ${record.name} is gone`);
  }

  #sweepSometimes(): void {
    const { clock } = this.#options;
    if (this.#sweep || !this.#mainServed || clock.nowMs() < this.#sweepAtMs) return;
    this.#sweepAtMs = clock.nowMs() + SWEEP_MS;
    this.#sweep = this.#sweepOnce().finally(() => (this.#sweep = undefined));
  }

  /** What nodes that were away still hold of deleted databases. */
  async #sweepOnce(): Promise<void> {
    const { halfDropped, dropVolume, databases, onLog } = this.#options;
    try {
      const owned = new Set((await databases.list()).map(({ volumeId }) => volumeId));
      for (const volumeId of await halfDropped()) {
        if (this.#stopping.signal.aborted || owned.has(volumeId)) continue;
        const { left } = await dropVolume(volumeId, this.#stopping.signal);
        if (left.length === 0) onLog('info', `nothing is left of deleted volume ${volumeId}`);
      }
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#complain(`deleted volumes are not swept: ${describeError(error)}`);
    }
  }

  #mayStart(name: string): boolean {
    if (name === MAIN) return true;
    if (!this.#mainServed) return false;
    const isStarting = (unit: DatabaseUnit) =>
      this.#beginning.has(unit) || (unit.startingForMs ?? TURN_MS) < TURN_MS;
    const turns = [...this.#units.values()].filter(isStarting);
    return turns.length < STARTS_MAX;
  }

  #unit(name: string): DatabaseUnit {
    let unit = this.#units.get(name);
    if (unit) return unit;
    const { clock, makeHead, onMainFinal, onLog } = this.#options;
    unit = new DatabaseUnit({
      clock,
      makeHead,
      onNews: () => this.#news.resolve(),
      onFinal: (error) => {
        if (name === MAIN) return onMainFinal(error);
        onLog('warn', `database ${name} failed: ${describeError(error)}`);
        this.#news.resolve();
      },
    });
    this.#units.set(name, unit);
    return unit;
  }

  #complain(text: string): void {
    if (text !== this.#lastComplaint) this.#options.onLog('warn', text);
    this.#lastComplaint = text;
  }
}
