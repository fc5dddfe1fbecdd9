/** Six nodes of one protection group on a memory network and a virtual clock, and a writer's connection to each. */
import { AssertionError, MemoryDisk, SeededRandom, VirtualClock } from '@rokka/kernel';
import type { Lsn, NodeId, PgIndex, Zone } from '@rokka/kernel';
import { MemoryNetwork, type NetworkObserver } from '@rokka/transport';
import * as codec from '../message-codec.ts';
import {
  MESSAGE,
  type Ack,
  type CreateSegment,
  type DropSegment,
  type Fence,
  type MemberAddress,
  type SegmentState,
  type Ship,
  type StartOver,
} from '../messages.ts';
import type { ShipRefused, Truncate } from '../messages.ts';
import { NodeClient } from '../node-client.ts';
import { StorageNode } from '../node.ts';
import type { Segment } from '../segment.ts';
import type { StoreTuning } from '../store-tuning.ts';
import type { MadeRecord } from './records.ts';
import { createMessage, head, shipMessage, SMALL } from './stores.ts';

export const CLUSTER = 'test';

export class TestCluster implements AsyncDisposable {
  readonly clock = new VirtualClock();
  /** Hears of every frame that is sent. */
  observe: NonNullable<NetworkObserver['sent']> = () => {};
  readonly network = new MemoryNetwork({
    clock: this.clock,
    delayMs: () => 1,
    observer: { sent: (lane, frame) => this.observe(lane, frame) },
  });
  readonly disks: MemoryDisk[] = [];
  readonly nodes: StorageNode[] = [];
  readonly writers: TestWriter[] = [];
  /** What the nodes have told people. */
  readonly lines: string[] = [];
  tuning: Partial<StoreTuning> = {};

  static async open(count = 6, tuning: Partial<StoreTuning> = {}): Promise<TestCluster> {
    const cluster = new TestCluster();
    cluster.tuning = tuning;
    for (let i = 0; i < count; i++) {
      cluster.disks.push(new MemoryDisk());
      await cluster.start(i);
      cluster.writers.push(await cluster.writer(i));
    }
    return cluster;
  }

  /** The first six are `n0`, `n1` …, two in each zone, one full and one tail; those after them go round again. */
  get members(): MemberAddress[] {
    return this.membersAt(this.disks.map((_, i) => i).slice(0, 6));
  }

  membersAt(nodes: readonly number[]): MemberAddress[] {
    return nodes.map((i) => ({
      node: `n${i}` as NodeId,
      address: `n${i}`,
      zone: zoneOf(i),
      kind: kindOf(i),
    }));
  }

  segment(i: number, pg = 0): Segment {
    return this.nodes[i].store.segments.get(head({ pg: pg as PgIndex }));
  }

  /** The node's process is gone; with it what its disk has not synced. */
  async crash(i: number): Promise<void> {
    this.network.kill(`n${i}`);
    this.disks[i].onAccess = () => {
      throw new AssertionError('this process is dead');
    };
    await this.run(this.nodes[i][Symbol.asyncDispose]()).catch(() => {});
    this.disks[i].onAccess = undefined;
    this.disks[i].crash();
  }

  async start(i: number): Promise<void> {
    this.nodes[i] = await this.run(
      StorageNode.open({
        disk: this.disks[i],
        directory: 'node',
        network: this.network.endpoint(`n${i}`),
        address: `n${i}`,
        cluster: CLUSTER,
        zone: zoneOf(i),
        node: `n${i}` as NodeId,
        clock: this.clock,
        random: new SeededRandom(i + 1),
        tuning: { ...SMALL, ...this.tuning },
        log: (line) => this.lines.push(`n${i}: ${line}`),
      }),
    );
  }

  async writer(i: number, node = `n${i}`): Promise<TestWriter> {
    const writer = new TestWriter(this);
    await writer.connect(i, node);
    return writer;
  }

  /** Lets time pass until `work` is settled, or for `ms`. */
  async run<T>(work: Promise<T>, ms = 10_000): Promise<T> {
    const outcome: { settled: boolean } = { settled: false };
    const watched = work.finally(() => (outcome.settled = true));
    watched.catch(() => {});
    for (const endMs = this.clock.nowMs() + ms; this.clock.nowMs() < endMs;) {
      if (outcome.settled) break;
      await this.pass(1);
    }
    return watched;
  }

  async pass(ms: number): Promise<void> {
    for (let i = 0; i < ms; i++) {
      this.clock.advanceTo(this.clock.nowMs() + 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.writers) writer.client.close();
    await this.run(Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]())));
  }
}

function zoneOf(i: number): Zone {
  return 'abc'[(i % 6) >> 1] as Zone;
}

function kindOf(i: number): 'full' | 'tail' {
  return i % 2 === 0 ? 'full' : 'tail';
}

export class TestWriter {
  readonly acks: Ack[] = [];
  readonly refusals: ShipRefused[] = [];
  client!: NodeClient;
  readonly #cluster: TestCluster;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  async connect(i: number, node: string, cluster = CLUSTER): Promise<void> {
    this.client = await this.#cluster.run(
      NodeClient.connect({
        network: this.#cluster.network.endpoint('writer'),
        address: `n${i}`,
        hello: { cluster, node: node as NodeId },
        clock: this.#cluster.clock,
        timeoutMs: 1_000,
        rest: {
          onFrame: (_, { type, body }) => {
            if (type === MESSAGE.ACK) this.acks.push(...codec.decodeAcks(body));
            else this.refusals.push(codec.decodeShipRefused(body));
          },
        },
      }),
    );
  }

  request(type: number, body: Uint8Array): Promise<Uint8Array> {
    return this.#cluster.run(this.client.request(type, [body], { timeoutMs: 5_000 }));
  }

  async create(kind: 'full' | 'tail', pg = 0, options: Partial<CreateSegment> = {}): Promise<void> {
    const { members } = this.#cluster;
    const message = createMessage({ kind, pg: pg as PgIndex, members, ...options });
    await this.request(MESSAGE.CREATE_SEGMENT, codec.encodeCreateSegment(message));
  }

  async startOver(kind: 'full' | 'tail', options: Partial<StartOver>): Promise<void> {
    const { members } = this.#cluster;
    const { hydrate: _, ...facts } = createMessage({ kind, members });
    const message = { ...facts, required: 0 as Lsn, dropped: 0 as Lsn, ...options };
    await this.request(MESSAGE.START_OVER, codec.encodeStartOver(message));
  }

  async fence(options: Partial<Fence>): Promise<SegmentState> {
    const message = { ...head(options), members: options.members ?? [], ranges: options.ranges ?? [] };
    return codec.decodeSegmentState(await this.request(MESSAGE.FENCE, codec.encodeFence(message)));
  }

  async drop(options: Partial<DropSegment>): Promise<void> {
    const message = { ...head(options), members: options.members ?? [] };
    await this.request(MESSAGE.DROP_SEGMENT, codec.encodeDropSegment(message));
  }

  async truncate(message: Truncate): Promise<void> {
    await this.request(MESSAGE.TRUNCATE, codec.encodeTruncate(message));
  }

  /** Sends without waiting. */
  ship(records: readonly MadeRecord[], options: Partial<Ship> = {}): void {
    const message = shipMessage(records, options);
    this.client.caller.connection.send(
      MESSAGE.SHIP,
      0,
      codec.encodeShips([{ ...message, records: [message.records] }]),
    );
  }
}
