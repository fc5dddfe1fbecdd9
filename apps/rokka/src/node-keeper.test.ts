import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Deferred,
  type Epoch,
  type NodeId,
  type PgIndex,
  settled,
  VirtualClock,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import { settledMembership } from '@rokka/quorum';
import type { NodeRecord } from './cluster.ts';
import { rokkaErrors } from './errors.ts';
import { NodeKeeper } from './node-keeper.ts';

const ZONES = ['a', 'a', 'b', 'b', 'c', 'c'] as Zone[];

/** Six nodes that are members of one group, on a clock that is moved by hand. */
class World {
  readonly clock = new VirtualClock();
  readonly records: NodeRecord[] = ZONES.map((zone, i) => this.#record(i + 1, zone));
  /** Of the members, by their places. */
  readonly members = this.records.map(({ node }) => node);
  readonly withData = new Set<number>();
  readonly said: string[] = [];
  readonly done: string[] = [];
  addFails = false;
  /** Spares that are wished for. */
  perZone = 0;
  /** A node that is added starts when it resolves, or does not. */
  adding: Promise<void> | undefined;
  readonly keeper = new NodeKeeper({
    clock: this.clock,
    facts: async () => ({
      records: this.records,
      spares: { perZone: this.perZone, zones: new Set(ZONES), down: new Set() },
      groups: [{ volumeId: 'v' as VolumeId, name: 'main', pg: 0 as PgIndex, membership: this.#membership() }],
    }),
    holdsData: ({ ordinal }) => this.withData.has(ordinal),
    restart: ({ ordinal }) => this.done.push(`start ${ordinal}`),
    add: async (zone) => {
      await this.adding;
      if (this.addFails) throw rokkaErrors.ROKKA_CHILD_LATE(['storage node 7', 1]);
      const record = this.#record(this.records.length + 1, zone);
      this.records.push(record);
      this.done.push(`add ${record.ordinal} to ${zone}`);
      return record;
    },
    writeOff: async (ordinal) => {
      this.done.push(`write off ${ordinal}`);
      const record = this.#at(ordinal);
      this.records[ordinal - 1] = { ...record, gone: true };
    },
    onLog: (_, text) => this.said.push(text),
  });

  lose(...ordinals: number[]): void {
    for (const ordinal of ordinals) this.keeper.take(this.#at(ordinal), true);
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += 500) {
      await settled();
      this.clock.advanceTo(this.clock.nowMs() + 500);
    }
  }

  #at(ordinal: number): NodeRecord {
    const record = this.records[ordinal - 1];
    assert.ok(record);
    return record;
  }

  #record(ordinal: number, zone: Zone): NodeRecord {
    return { node: `n${ordinal}` as NodeId, zone, ordinal, made: true };
  }

  #membership() {
    return settledMembership(
      1 as Epoch,
      this.members.map((node, i) => ({ node, zone: ZONES[i], kind: i % 2 === 0 ? 'full' : 'tail' })),
    );
  }
}

test('nothing is done before the others had their time to start', async () => {
  const world = new World();
  world.lose(2);
  await world.pass(5_000);
  assert.deepEqual(world.done, []);
  world.keeper.begin();
  await world.pass(3_000);
  assert.deepEqual(world.done, ['add 7 to a']);
  await world.keeper[Symbol.asyncDispose]();
});

test('a member is written off when it has been replaced, and not before', async () => {
  const world = new World();
  world.keeper.begin();
  world.lose(2);
  await world.pass(60_000);
  assert.deepEqual(world.done, ['add 7 to a']);
  world.members[1] = 'n7' as NodeId;
  await world.pass(3_000);
  assert.deepEqual(world.done, ['add 7 to a', 'write off 2']);
  assert.equal(world.keeper.missing.size, 0);
  await world.keeper[Symbol.asyncDispose]();
});

test('one that has become a member of something while a spare started is not written off', async () => {
  const world = new World();
  const start = new Deferred<void>();
  world.adding = start.promise;
  world.members[1] = 'n9' as NodeId;
  world.keeper.begin();
  world.lose(2, 3);
  await world.pass(3_000);
  // A database that was made meanwhile has drawn it.
  world.members[1] = 'n2' as NodeId;
  start.resolve();
  await world.pass(3_000);
  assert.deepEqual(world.done, ['add 7 to a', 'add 8 to b']);
  await world.keeper[Symbol.asyncDispose]();
});

test('a node whose data is back starts, and is looked after no more', async () => {
  const world = new World();
  world.keeper.begin();
  world.lose(2, 3);
  await world.pass(2_000);
  world.withData.add(2).add(3);
  await world.pass(2_000);
  assert.deepEqual(world.done, ['add 7 to a', 'add 8 to b', 'start 2', 'start 3']);
  assert.equal(world.keeper.missing.size, 0);
  world.withData.delete(3);
  world.lose(3);
  await world.pass(2_000);
  assert.ok(world.keeper.has('n3' as NodeId) && !world.keeper.has('n2' as NodeId));
  await world.keeper[Symbol.asyncDispose]();
});

test('where too few are left nothing is done, which is said once', async () => {
  const world = new World();
  world.keeper.begin();
  world.lose(1, 2, 3, 4, 5, 6);
  await world.pass(30_000);
  assert.deepEqual(world.done, []);
  assert.deepEqual(world.said, [
    'too few copies of main are left without node 1, 2, 3, 4, 5, 6: nothing is done before that data is back',
  ]);
  for (let ordinal = 1; ordinal <= 6; ordinal++) world.withData.add(ordinal);
  await world.pass(2_000);
  assert.equal(world.done.length, 6);
  await world.keeper[Symbol.asyncDispose]();
});

test('a spare that does not start is said once, and tried again', async () => {
  const world = new World();
  world.addFails = true;
  world.keeper.begin();
  world.lose(2);
  await world.pass(10_000);
  assert.equal(world.said.length, 1);
  assert.match(world.said[0] ?? '', /ROKKA_CHILD_LATE/);
  world.addFails = false;
  await world.pass(2_000);
  assert.deepEqual(world.done, ['add 7 to a']);
  await world.keeper[Symbol.asyncDispose]();
});

test('told to stop while a spare starts, it says nothing of what did not come to be', async () => {
  const world = new World();
  const start = new Deferred<void>();
  world.adding = start.promise;
  world.keeper.begin();
  world.lose(2);
  await world.pass(2_000);
  world.keeper.stop();
  start.reject(rokkaErrors.ROKKA_STOPPED(['storage node 7']));
  await world.pass(2_000);
  await world.keeper[Symbol.asyncDispose]();
  assert.deepEqual([world.said, world.done], [[], []]);
});

test('spares are kept as long as they are wished for, and nobody is asked where none are', async () => {
  const world = new World();
  world.keeper.begin();
  await world.pass(5_000);
  assert.deepEqual([world.done, world.clock.pending], [[], 0]);
  world.perZone = 1;
  world.keeper.wishChanged();
  await world.pass(2_000);
  assert.deepEqual(world.done.splice(0), ['add 7 to a', 'add 8 to b', 'add 9 to c']);
  assert.deepEqual(
    world.said,
    [7, 8, 9].map((n, i) => `node ${n} runs in zone ${'abc'[i]} as a spare`),
  );
  world.members[2] = 'n8' as NodeId;
  world.records[2] = { ...world.records[2], gone: true };
  await world.pass(5_000);
  assert.deepEqual(world.done.splice(0), ['add 10 to b']);
  world.perZone = 0;
  world.keeper.wishChanged();
  await world.pass(5_000);
  assert.deepEqual([world.done, world.clock.pending], [[], 0]);
  await world.keeper[Symbol.asyncDispose]();
});
