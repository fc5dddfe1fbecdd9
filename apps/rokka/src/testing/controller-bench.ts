/** The controller with heads that are stand-ins, on a virtual clock. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {
  type DatabasePhase,
  type DatabaseRecord,
  Databases,
  DatabaseSecrets,
  Snapshots,
  StateCopies,
} from '@rokka/databases';
import {
  CodedError,
  Deferred,
  type Lsn,
  must,
  type NodeId,
  SeededRandom,
  VirtualClock,
  type VolumeId,
} from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { DatabaseController } from '../databases/controller.ts';
import { SpareProcess } from '../spare-process.ts';
import type { Head, UnitOptions } from '../databases/database-unit.ts';
import type { PlacedHeadOptions } from '../machines/heads/head-orders.ts';
import type { PlacedHeads } from '../machines/heads/placed-heads.ts';
import { placedHeads } from './placed-bench.ts';

type MakeHead = Parameters<UnitOptions['makeHead']>[0];

export class StandIn implements Head {
  readonly pid = 1;
  readonly restarts = 0;
  ready = false;
  lastError: CodedError | undefined;
  ended = false;
  readonly record: DatabaseRecord;
  readonly #of: MakeHead;
  readonly #served = new Deferred<void>();
  readonly asked: string[] = [];
  refuses = false;
  /** What it is asked for by this name takes until then. */
  readonly waits = new Map<string, Deferred<void>>();
  spareWaits: boolean;
  readonly handedOver: SpareProcess | undefined;

  constructor(of: MakeHead) {
    this.record = of.record;
    this.handedOver = of.handedOver;
    this.spareWaits = (of.record.standbys ?? 0) > 0;
    this.#of = of;
  }

  start(): Promise<void> {
    return this.#served.promise;
  }

  async ask(what: string, _timeoutMs: number, argument?: unknown): Promise<unknown> {
    this.asked.push(what);
    // The answer comes in another turn, as over a channel.
    await new Promise((done) => setImmediate(done));
    await this.waits.get(what)?.promise;
    if (this.ended) throw new CodedError('ROKKA_CHILD_AWAY', 'it is so');
    if (this.refuses) throw new CodedError('ARCHIVE_STORE_FAILED', 'it is so');
    const { files } = this.record;
    if (what === 'resize') return { ...(argument as object), mountPoint: `/run/${files?.mount}` };
    return { lsn: this.asked.length };
  }

  serve(): void {
    this.ready = true;
    this.#served.resolve();
    const { port, userName: user, databaseName: database, files } = this.record;
    if (files) this.#of.onReady({ sizeBytes: files.sizeBytes, mountPoint: `/run/${files.mount}` });
    else this.#of.onReady({ host: '127.0.0.1', port, user, database, socketDirectory: '/' });
  }

  fail(code: string): void {
    const error = new CodedError(code, 'it is so');
    this.lastError = error;
    this.ended = true;
    this.#served.reject(error);
    this.#of.onFinal(error);
  }

  async status(): Promise<unknown> {
    return undefined;
  }

  kill(): void {}

  keepSpare(wanted: boolean): void {
    this.spareWaits = wanted;
  }

  /** What it has handed over cannot be launched: whether it still would be says whether it is kept. */
  launches = 0;
  given: SpareProcess | undefined;

  handOver(): SpareProcess {
    const launch = () => {
      throw new Error(`it is not launched: ${++this.launches}`);
    };
    this.given = new SpareProcess({ launch, onMissing: () => {} });
    return this.given;
  }

  /** It takes its time to end. */
  lingers: Deferred<void> | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lingers?.promise;
    this.ended = true;
    this.ready = false;
  }
}

export class ControllerBench implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly registry = new MemoryRegistry();
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-controller-'));
  readonly secrets = new DatabaseSecrets(this.directory);
  readonly databases: Databases;
  readonly snapshots: Snapshots;
  readonly copies = new StateCopies({ registry: this.registry });
  readonly heads: StandIn[] = [];
  readonly finals: CodedError[] = [];
  readonly volumes = new Set<VolumeId>();
  /** Volumes that a node still holds, though deleted. */
  readonly half = new Set<VolumeId>();
  /** What the next attempt to drop a volume does. */
  drop: 'well' | 'ill' | 'node away' | 'never' = 'well';
  controller: DatabaseController;
  /** Heads on joined machines. */
  placed: PlacedHeads;
  #processes = 0;
  /** Where a stopped database ended. */
  end: Lsn | undefined;

  private constructor() {
    const { registry, clock, secrets } = this;
    const random = new SeededRandom(1);
    const onChanged = () => this.controller.nudge();
    this.databases = new Databases({ registry, secrets, clock, random, onChanged });
    this.snapshots = new Snapshots({ registry, secrets, clock, random, onChanged });
    this.placed = this.#makePlaced();
    this.controller = this.#make();
  }

  static async start(): Promise<ControllerBench> {
    const bench = new ControllerBench();
    const main = { name: 'main', engine: 'native', volumeId: 'vol-main', createdAtMs: 0 };
    await bench.registry.put('databases/main', main, 0);
    return bench;
  }

  /** Main serves. */
  async up(): Promise<void> {
    const started = this.controller.start();
    started.catch(() => {});
    await this.pass(300);
    must(this.head('main')).serve();
    await started;
  }

  /** Everything is forgotten but the registry, the secrets and the volumes. */
  async crash(): Promise<void> {
    this.placed[Symbol.dispose]();
    this.controller.kill();
    this.heads.length = 0;
    this.placed = this.#makePlaced();
    this.controller = this.#make();
    await this.up();
  }

  head(name: string): StandIn | undefined {
    return this.heads.findLast(({ record, ended }) => record.name === name && !ended);
  }

  async phase(name: string): Promise<DatabasePhase | undefined> {
    return (await this.databases.state(name))?.phase;
  }

  async create(name: string): Promise<void> {
    await this.databases.create({ name, engine: 'native' });
    await this.pass(300);
  }

  /** A volume whose files are a copy of the cluster's state, and that is open. @returns its head */
  async createMirror(name: string): Promise<StandIn> {
    const files = { sizeBytes: 2 ** 30, stateCopy: 0 };
    await this.databases.create({ name, engine: 'files', files });
    await this.pass(300);
    const head = must(this.head(name));
    head.serve();
    await this.pass(300);
    return head;
  }

  async pass(ms: number): Promise<void> {
    for (const endMs = this.clock.nowMs() + ms; this.clock.nowMs() < endMs;) {
      this.clock.advanceTo(Math.min(endMs, this.clock.nowMs() + 50));
      for (let turn = 0; turn < 4; turn++) await new Promise((done) => setImmediate(done));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop = 'well';
    this.placed[Symbol.dispose]();
    const stopped = this.controller[Symbol.asyncDispose]();
    await this.pass(1_000);
    await stopped;
    fs.rmSync(this.directory, { recursive: true });
  }

  #makePlaced(): PlacedHeads {
    const placed = placedHeads(this.clock, ++this.#processes);
    placed.isPlaced = async (name, machine) =>
      (await this.databases.list()).some((one) => one.name === name && one.files?.machine === machine);
    return placed;
  }

  #make(): DatabaseController {
    return new DatabaseController({
      databases: this.databases,
      secrets: this.secrets,
      clock: this.clock,
      random: new SeededRandom(2),
      makeHead: (of) => {
        const { name, generation, files } = of.record;
        const { machine } = files ?? {};
        if (machine !== undefined)
          return this.placed.head({ ...of, machine, name, generation, options: {} as PlacedHeadOptions });
        const head = new StandIn(of);
        this.heads.push(head);
        return head;
      },
      makeVolume: async ({ volumeId }) => void this.volumes.add(volumeId),
      dropVolume: async (volumeId, signal) => {
        if (this.drop === 'never') {
          await new Promise((done) => signal.addEventListener('abort', done));
          return { left: ['n1' as NodeId], reasons: {} };
        }
        if (this.drop === 'ill') throw new CodedError('REGISTRY_UNREACHABLE', 'it is so');
        const isAway = this.drop === 'node away';
        if (isAway) this.half.add(volumeId);
        else this.half.delete(volumeId);
        this.volumes.delete(volumeId);
        return { left: isAway ? ['n1' as NodeId] : [], reasons: {} };
      },
      halfDropped: async () => [...this.half],
      snapshots: this.snapshots,
      copies: this.copies,
      endOf: async () => this.end,
      removeSockets: () => {},
      onMainFinal: (error) => this.finals.push(error),
      onLog: () => {},
    });
  }
}
