/**
 * Six real storage nodes and spares, a registry and writers in one process: memory disks that lose what was not synced, a memory
 * network that can be held and cut, and one virtual clock. Everything follows from the seed.
 */
import { MemoryDisk, ProcessClock, SeededRandom, VirtualClock, type CodedError } from '@rokka/kernel';
import type { NodeId, VolumeId, Zone } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { StorageNode, type StoreTuning } from '@rokka/storage';
import { MemoryNetwork, type Link, type MemoryNetworkOptions } from '@rokka/transport';
import type { DeletionOptions, DeletionOutcome } from '../volume-deletion.ts';
import type { VolumeOptions } from '../volume-options.ts';
import { Volume } from '../volume.ts';

export const VOLUME_ID = 'volume-1' as VolumeId;
export const NODES = [0, 1, 2, 3, 4, 5] as const;

/** Small enough that a few hundred records meet every boundary of log files and generations. */
const TUNING: Partial<StoreTuning> = {
  logFileBytes: 64 * 1024,
  logBatchBytes: 32 * 1024,
  segmentLogBytes: 16 * 1024,
  pageRecords: 32,
  logBytes: 128 * 1024,
};

export interface Writer {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly volume: Volume;
  /** What onFailed was told. */
  readonly failures: CodedError[];
}

export interface SixNodesOptions {
  seed?: number;
  pagesPerGroup?: number;
  groupsMax?: number;
  allFull?: boolean;
  /** Nodes 6, 7, 8 … of zones a, b, c, a … that hold nothing at first. */
  spares?: number;
  tuning?: Partial<StoreTuning>;
  sendLimitBytes?: number;
  delayMs?: (link: Link) => number;
  observer?: NonNullable<MemoryNetworkOptions['observer']>;
}

type Fate = Parameters<MemoryDisk['crash']>[0];

export class SixNodes implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly network: MemoryNetwork;
  readonly registry = new MemoryRegistry();
  readonly disks: readonly MemoryDisk[];
  /** All of them, spares included. */
  readonly numbers: readonly number[];
  readonly #nodes: ({ node: StorageNode; clock: ProcessClock } | undefined)[] = [];
  readonly #options: SixNodesOptions;
  #writers = 0;
  #starts = 0;
  /** Nodes that are being emptied. */
  readonly leaving = new Set<number>();
  /** What writers told people. */
  readonly said: string[] = [];

  private constructor(options: SixNodesOptions) {
    this.#options = options;
    this.numbers = Array.from({ length: NODES.length + (options.spares ?? 0) }, (_, i) => i);
    this.disks = this.numbers.map(() => new MemoryDisk());
    const { delayMs = () => 1, sendLimitBytes, observer } = options;
    this.network = new MemoryNetwork({
      clock: this.clock,
      delayMs,
      ...(sendLimitBytes === undefined ? {} : { sendLimitBytes }),
      ...(observer ? { observer } : {}),
    });
  }

  /** All six are up, and the volume is in the registry, of no pages yet. */
  static async start(options: SixNodesOptions = {}): Promise<SixNodes> {
    const six = new SixNodes(options);
    for (const i of six.numbers) await six.up(i);
    await Volume.create(six.registry, {
      volumeId: VOLUME_ID,
      name: 'test',
      pagesPerGroup: options.pagesPerGroup ?? 64,
      groupsMax: options.groupsMax ?? 8,
      allFull: options.allFull ?? false,
      nodes: NODES.map((i) => ({ node: nodeId(i), zone: zoneOf(i) })),
    });
    return six;
  }

  isUp(i: number): boolean {
    return this.#nodes[i] !== undefined;
  }

  async up(i: number): Promise<void> {
    if (this.#nodes[i]) return;
    const clock = new ProcessClock(this.clock);
    const node = await StorageNode.open({
      disk: this.disks[i],
      directory: 'node',
      network: this.network.endpoint(nodeId(i)),
      address: nodeId(i),
      cluster: 'test',
      zone: zoneOf(i),
      node: nodeId(i),
      clock,
      // A node that is started again draws other numbers; a disk that is put in gets a store of its own.
      random: new SeededRandom(i + 1 + (this.#options.seed ?? 0) * 7 + 1_000 * this.#starts++),
      tuning: { ...TUNING, ...this.#options.tuning },
    });
    this.#nodes[i] = { node, clock };
  }

  /** The machine loses power: what its disk has not synced is gone, or torn where `fate` says so. */
  crash(i: number, fate?: Fate): void {
    const gone = this.#nodes[i];
    if (!gone) return;
    this.#nodes[i] = undefined;
    gone.clock.end();
    this.network.kill(nodeId(i));
    this.disks[i].crash(fate);
  }

  status(i: number) {
    const up = this.#nodes[i];
    if (!up) throw new Error(`node ${i} is down`);
    return up.node.status();
  }

  store(i: number) {
    const up = this.#nodes[i];
    if (!up) throw new Error(`node ${i} is down`);
    return up.node.store;
  }

  /** Opens the volume as another process. */
  async writer(options: Partial<VolumeOptions> = {}): Promise<Writer> {
    const begun = this.begin(options);
    return this.run(begun.opened);
  }

  /** The same, without waiting: a recovery that may be killed on the way. */
  begin(options: Partial<VolumeOptions> = {}): {
    name: string;
    clock: ProcessClock;
    opened: Promise<Writer>;
  } {
    const number = ++this.#writers;
    const name = `writer-${number}`;
    const clock = new ProcessClock(this.clock);
    const failures: CodedError[] = [];
    const opened = Volume.open({
      volumeId: VOLUME_ID,
      cluster: 'test',
      registry: this.registry.another(),
      network: this.network.endpoint(name),
      addressOf: (node) => node,
      fleet: () =>
        this.numbers.map((i) => ({ node: nodeId(i), zone: zoneOf(i), leaving: this.leaving.has(i) })),
      log: (text) => this.said.push(text),
      clock,
      random: new SeededRandom(number * 1001 + (this.#options.seed ?? 0)),
      recoverTimeoutMs: 20_000,
      onFailed: (error) => failures.push(error),
      ...options,
    }).then((volume) => ({ name, clock, volume, failures }));
    opened.catch(() => {});
    return { name, clock, opened };
  }

  /** Deletes the volume as another process, which may be killed on the way. */
  beginDeletion(options: Partial<DeletionOptions> = {}): {
    name: string;
    clock: ProcessClock;
    done: Promise<DeletionOutcome>;
  } {
    const number = ++this.#writers;
    const name = `deleter-${number}`;
    const clock = new ProcessClock(this.clock);
    const done = Volume.delete({
      volumeId: VOLUME_ID,
      cluster: 'test',
      registry: this.registry.another(),
      network: this.network.endpoint(name),
      addressOf: (node) => node,
      isKept: () => true,
      clock,
      random: new SeededRandom(number * 1001 + (this.#options.seed ?? 0)),
      timeoutMs: 3_000,
      ...options,
    });
    done.catch(() => {});
    return { name, clock, done };
  }

  /** The writer's process is killed: nothing of it goes on. */
  kill(writer: { name: string; clock: ProcessClock }): void {
    writer.clock.end();
    this.network.kill(writer.name);
  }

  /** Nothing gets from or to the process, and its timers stand still. */
  pause(writer: Writer): void {
    writer.clock.pause();
    for (const i of this.numbers) this.hold(writer, i);
  }

  resume(writer: Writer): void {
    for (const i of this.numbers) this.network.heal(writer.name, nodeId(i));
    writer.clock.resume();
  }

  /** The node takes what it is sent, and nothing arrives there. */
  hold(writer: { name: string }, i: number): void {
    this.network.hold(writer.name, nodeId(i));
    this.network.hold(nodeId(i), writer.name);
  }

  heal(writer: { name: string }, i: number): void {
    this.network.heal(writer.name, nodeId(i));
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.clock.nowMs() + ms;
    while (this.clock.nowMs() < endMs) {
      this.clock.advanceTo(Math.min(endMs, Math.max(this.clock.nextMs() ?? endMs, this.clock.nowMs() + 0.5)));
      await turn();
    }
    await turn();
  }

  /** Lets time pass until `work` is settled, for `ms` at most. */
  async run<T>(work: Promise<T>, ms = 60_000): Promise<T> {
    const outcome = { settled: false };
    const watched = work.finally(() => (outcome.settled = true));
    watched.catch(() => {});
    await turn();
    for (const endMs = this.clock.nowMs() + ms; !outcome.settled;) {
      if (this.clock.nowMs() >= endMs) throw new Error(`not settled within ${ms} ms`);
      await this.pass(1);
    }
    return watched;
  }

  /** Whether `work` is still under way after `ms`. */
  async isStuck(work: Promise<unknown>, ms: number): Promise<boolean> {
    const outcome = { settled: false };
    work.then(
      () => (outcome.settled = true),
      () => (outcome.settled = true),
    );
    await this.pass(ms);
    return !outcome.settled;
  }

  /** Nothing is left that fires: the virtual clock goes away with the test. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const i of this.numbers) this.crash(i);
  }
}

export function nodeId(i: number): NodeId {
  return `n${i}` as NodeId;
}

export function zoneOf(i: number): Zone {
  return 'abc'[i < NODES.length ? i >> 1 : (i - NODES.length) % 3] as Zone;
}

/** Promises that are due run before the next timer does. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
