/** A group of six with history on a TestCluster, a writer that can go on, and newcomers. */
import assert from 'node:assert/strict';
import { SeededRandom, type Epoch, type Lsn, type PageNumber } from '@rokka/kernel';
import type { StoreTuning } from '../store-tuning.ts';
import { lower } from '../segment.ts';
import { TestCluster } from './cluster.ts';
import { RecordMaker, type MadeRecord } from './records.ts';
import { head } from './stores.ts';

export const SIX = [0, 1, 2, 3, 4, 5];
/** Pages of the segment; far fewer are written, unless a test says otherwise. */
export const PAGES = 2_048;
export const JOINT = 2 as Epoch;

export class Group implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly maker = new RecordMaker();
  readonly random: SeededRandom;
  readonly pages: number;
  readonly pageCount: number;
  membershipEpoch = 1 as Epoch;
  members = SIX;

  private constructor(cluster: TestCluster, options: { pages: number; pageCount: number; seed: number }) {
    this.cluster = cluster;
    this.pages = options.pages;
    this.pageCount = options.pageCount;
    this.random = new SeededRandom(options.seed);
  }

  static async start(
    options: {
      nodes?: number;
      pages?: number;
      pageCount?: number;
      seed?: number;
      tuning?: Partial<StoreTuning>;
    } = {},
  ): Promise<Group> {
    const { nodes = 8, pages = 300, pageCount = PAGES, seed = 1, tuning } = options;
    const group = new Group(await TestCluster.open(nodes, tuning), { pages, pageCount, seed });
    for (const i of SIX)
      await group.cluster.writers[i].create(i % 2 === 0 ? 'full' : 'tail', 0, { pageCount: group.pageCount });
    return group;
  }

  /** Some records for random pages, to those nodes; everything shipped before is durable by now. */
  async write(count: number, nodes = this.members): Promise<void> {
    const durable = this.maker.lastLsn;
    const records: MadeRecord[] = [];
    for (let i = 0; i < count; i++) {
      const bytes = 1 + this.random.below(60);
      records.push(
        this.maker.make({
          page: this.random.below(this.pages),
          offset: this.random.below(8192 - bytes),
          content: Buffer.from(this.random.hex(bytes), 'hex'),
          init: this.random.chance(0.1),
        }),
      );
    }
    const { membershipEpoch } = this;
    for (const i of nodes)
      this.cluster.writers[i].ship(records, { vdl: durable, pgmrpl: durable, membershipEpoch });
    await this.cluster.pass(2);
  }

  /** Full members bring their pages up to what is durable. */
  async coalesce(nodes: readonly number[]): Promise<void> {
    for (const i of nodes) {
      const segment = this.cluster.segment(i);
      this.cluster.nodes[i].store.coalescer.demand(segment);
      const { pgmrpl, vdl, durableScl, chain } = segment;
      const target = chain.lastAtOrBelow(lower(lower(pgmrpl, vdl), durableScl));
      for (let ms = 0; segment.coalesced < target && ms < 500; ms += 5) await this.cluster.pass(5);
    }
  }

  /** The newcomers' segments are made, and everybody is told of them. */
  async join(newcomers: readonly number[], told = SIX): Promise<void> {
    const { cluster } = this;
    this.members = [...SIX, ...newcomers];
    const members = cluster.membersAt(this.members);
    this.membershipEpoch = JOINT;
    for (const i of told) await cluster.writers[i].fence({ members, membershipEpoch: JOINT });
    for (const i of newcomers)
      await cluster.writers[i].create(members.find(({ node }) => node === `n${i}`)!.kind, 0, {
        pageCount: this.pageCount,
        members,
        membershipEpoch: JOINT,
        hydrate: true,
      });
  }

  async whole(i: number, ms = 20_000): Promise<void> {
    for (let waited = 0; this.cluster.segment(i).hydration && waited < ms; waited += 10)
      await this.cluster.pass(10);
    assert.equal(this.cluster.segment(i).hydration, undefined, `node ${i}: ${this.cluster.lines.join('\n')}`);
  }

  /** Every page, at the earliest read point, at the last one and between, equals what the records give. */
  demandTruth(i: number): void {
    const segment = this.cluster.segment(i);
    const { durableScl } = segment;
    const lowest = Math.max(segment.coalesced, segment.readFloor, segment.pgmrpl);
    for (const readPoint of [lowest, lowest + this.random.below(durableScl - lowest + 1), durableScl]) {
      for (let page = 0; page < this.pages; page++) {
        const expected = this.maker.page(page, readPoint as Lsn);
        const [answer] = this.cluster.nodes[i].store.read({
          ...head({ membershipEpoch: this.membershipEpoch }),
          pages: [page as PageNumber],
          readPoint: readPoint as Lsn,
          requiredScl: readPoint as Lsn,
        });
        assert.equal(answer.pageLsn, expected.lsn, `page ${page} at ${readPoint}`);
        if (expected.lsn > 0)
          assert.ok(Buffer.from(expected.content).equals(answer.content), `page ${page} at ${readPoint}`);
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cluster[Symbol.asyncDispose]();
  }
}
