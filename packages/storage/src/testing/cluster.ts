/** Six nodes of one protection group on a memory network and a virtual clock, and a writer's connection to each. */
import { MemoryDisk, SeededRandom, VirtualClock } from '@rokka/kernel';
import type { NodeId, PgIndex, Zone } from '@rokka/kernel';
import { MemoryNetwork } from '@rokka/transport';
import * as codec from '../message-codec.ts';
import {
  MESSAGE,
  type Ack,
  type CreateSegment,
  type Fence,
  type SegmentState,
  type Ship,
} from '../messages.ts';
import type { ShipRefused, Truncate } from '../messages.ts';
import { NodeClient } from '../node-client.ts';
import { StorageNode } from '../node.ts';
import type { MadeRecord } from './records.ts';
import { createMessage, head, shipMessage, SMALL } from './stores.ts';

export const CLUSTER = 'test';

export class TestCluster implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly network = new MemoryNetwork({ clock: this.clock, delayMs: () => 1 });
  readonly disks: MemoryDisk[] = [];
  readonly nodes: StorageNode[] = [];
  readonly writers: TestWriter[] = [];

  static async open(count = 6): Promise<TestCluster> {
    const cluster = new TestCluster();
    for (let i = 0; i < count; i++) {
      cluster.disks.push(new MemoryDisk());
      await cluster.start(i);
      cluster.writers.push(await cluster.writer(i));
    }
    return cluster;
  }

  /** Every one is `n0`, `n1` …, two in each zone, one full and one tail. */
  get members(): CreateSegment['members'] {
    return this.disks.map((_, i) => ({
      node: `n${i}` as NodeId,
      address: `n${i}`,
      zone: 'abc'[i >> 1] as Zone,
      kind: i % 2 === 0 ? 'full' : 'tail',
    }));
  }

  async start(i: number): Promise<void> {
    this.nodes[i] = await this.run(
      StorageNode.open({
        disk: this.disks[i],
        directory: 'node',
        network: this.network.endpoint(`n${i}`),
        address: `n${i}`,
        cluster: CLUSTER,
        zone: 'abc'[i >> 1] as Zone,
        node: `n${i}` as NodeId,
        clock: this.clock,
        random: new SeededRandom(i + 1),
        tuning: SMALL,
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
            if (type === MESSAGE.ACK) this.acks.push(codec.decodeAck(body));
            else this.refusals.push(codec.decodeShipRefused(body));
          },
        },
      }),
    );
  }

  request(type: number, body: Uint8Array): Promise<Uint8Array> {
    return this.#cluster.run(this.client.request(type, [body], { timeoutMs: 5_000 }));
  }

  async create(kind: 'full' | 'tail', pg = 0): Promise<void> {
    const { members } = this.#cluster;
    const message = createMessage({ kind, pg: pg as PgIndex, members });
    await this.request(MESSAGE.CREATE_SEGMENT, codec.encodeCreateSegment(message));
  }

  async fence(options: Partial<Fence>): Promise<SegmentState> {
    const message = { ...head(options), members: options.members ?? [], ranges: options.ranges ?? [] };
    return codec.decodeSegmentState(await this.request(MESSAGE.FENCE, codec.encodeFence(message)));
  }

  async truncate(message: Truncate): Promise<void> {
    await this.request(MESSAGE.TRUNCATE, codec.encodeTruncate(message));
  }

  /** Sends without waiting. */
  ship(records: readonly MadeRecord[], options: Partial<Ship> = {}): void {
    const message = shipMessage(records, options);
    this.client.caller.connection.send(MESSAGE.SHIP, 0, [codec.encodeShipHead(message), message.records]);
  }
}
