/**
 * The disk of some or all storage nodes is not mounted when the cluster starts, and mounted later: nothing is written off that
 * somebody could still copy from, or that nobody could do without, and every row is there again.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { systemClock, systemRandom } from '@rokka/kernel';
import { placedGroups } from '@rokka/volume';
import { openClusterRegistry } from './cluster-registry.ts';
import { addNode, changeNode, listNodes, type NodeRecord } from './cluster.ts';
import { dataPaths } from './data-directory.ts';
import { membersAmong } from './missing-nodes.ts';
import type { SupervisorStatus } from './status.ts';
import { RokkaCommand } from './testing/rokka-command.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { kill, TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 900_000;

const SIX = [1, 2, 3, 4, 5, 6];
const ROWS = 1_000;
const LOOK_AGAIN_MS = 100;

/** What a disk that is not mounted is to its nodes: their directories are elsewhere. */
class Disk {
  readonly #place: TestPlace;

  constructor(place: TestPlace) {
    this.#place = place;
  }

  unmount(...ordinals: number[]): void {
    fs.mkdirSync(this.#away, { recursive: true });
    for (const ordinal of ordinals) fs.renameSync(this.at(ordinal), path.join(this.#away, String(ordinal)));
  }

  mount(...ordinals: number[]): void {
    for (const ordinal of ordinals) {
      fs.rmSync(this.at(ordinal), { recursive: true, force: true });
      fs.renameSync(path.join(this.#away, String(ordinal)), this.at(ordinal));
    }
  }

  at(ordinal: number): string {
    return dataPaths.node(this.#place.data, ordinal);
  }

  get #away(): string {
    return path.join(this.#place.path, 'away');
  }
}

/** A cluster with rows in it, stopped. */
async function filled(place: TestPlace): Promise<RokkaUnderTest> {
  const rokka = await RokkaUnderTest.start(place);
  await rokka.query(`create table kept as select generate_series(1, ${ROWS}) as n`);
  await rokka.stop();
  return rokka;
}

async function assertRows(rokka: RokkaUnderTest): Promise<void> {
  const [row] = await rokka.query<{ count: string; sum: string }>('select count(*), sum(n) from kept');
  assert.deepEqual(row, { count: String(ROWS), sum: String((ROWS * (ROWS + 1)) / 2) });
}

/** Ends with one line for people, with the code, and leaves nothing; answers what it said. */
async function assertRefused(place: TestPlace, code: string, ...more: string[]): Promise<string> {
  const args = ['up', '--data', place.data, '--port', String(place.port), '--engine', 'native'];
  const { status, out, err } = await RokkaCommand.run([...args, ...more]);
  assert.equal(status, 1, out);
  assert.match(err, new RegExp(`^rokka: ${code}: [^\\n]+\\n$`));
  assert.doesNotMatch(out, /comes in place|no node comes|go on|opening the/);
  await place.assertNothingRuns();
  return err;
}

async function records(place: TestPlace): Promise<NodeRecord[]> {
  await using registry = await openClusterRegistry(place.data);
  return listNodes(registry);
}

/**
 * Nobody is written off who is a member. Asked in this order it can't be wrong: who was gone before, and is a member after that,
 * was one all the time.
 */
async function assertNoMemberIsGone(place: TestPlace): Promise<void> {
  await using registry = await openClusterRegistry(place.data);
  const gone = (await listNodes(registry)).filter((one) => one.gone);
  const members = membersAmong(gone, await placedGroups(registry));
  assert.deepEqual(
    members.map(({ ordinal }) => ordinal),
    [],
    'members that are written off',
  );
}

const goneOf = (nodes: readonly NodeRecord[]) =>
  nodes.filter(({ gone }) => gone).map(({ ordinal }) => ordinal);

/** Six members without a change under way, and these nodes are among them or are not. */
const settledWith = (ordinals: readonly number[]) => (status: SupervisorStatus) => {
  const group = status.head.detail?.groups[0];
  if (!group || group.changes.length > 0) return false;
  const members = group.members.map(({ node }) => status.nodes.find((one) => one.node === node)?.ordinal);
  return (
    ordinals.every((ordinal) => members.includes(ordinal)) &&
    group.members.every(({ fenced, hydrating }) => fenced && !hydrating)
  );
};

describe('a disk is missing', { skip }, () => {
  test('the one of all nodes: nothing starts, nobody is written off', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await filled(place);
    const disk = new Disk(place);
    const before = await records(place);

    disk.unmount(...SIX);
    const said = await assertRefused(place, 'ROKKA_NODES_MISSING');
    for (const ordinal of SIX) assert.ok(said.includes(disk.at(ordinal)), said);
    assert.match(said, /copies are left of main: .*--gone 1,2,3,4,5,6 /);
    // The places where disks are to be mounted are directories as well.
    for (const ordinal of SIX) fs.mkdirSync(disk.at(ordinal), { recursive: true });
    await assertRefused(place, 'ROKKA_NODES_MISSING');
    assert.deepEqual(await records(place), before);

    disk.mount(...SIX);
    await rokka.again();
    await assertRows(rokka);
    assert.deepEqual(await records(place), before);
  });

  test(
    'what a person has given up, with too little left, comes back with its data',
    { timeout },
    async () => {
      await using place = await TestPlace.make();
      await using rokka = await filled(place);
      const disk = new Disk(place);
      assert.match(await assertRefused(place, 'ROKKA_NODE_NOT_GONE', '--gone', '4'), /--gone; .*replace 4 /);
      await assertRefused(place, 'ROKKA_NO_NODE', '--gone', '7');

      disk.unmount(1, 2, 3, 4);
      assert.match(await assertRefused(place, 'ROKKA_NODES_MISSING'), /--gone 1,2,3,4 /);
      assert.ok((await assertRefused(place, 'ROKKA_COPIES_LOST', '--gone', '1,2,3,4')).includes(disk.at(4)));
      assert.deepEqual(goneOf(await records(place)), [1, 2, 3, 4]);
      await assertRefused(place, 'ROKKA_COPIES_LOST');

      disk.mount(1, 2, 3, 4);
      await rokka.again();
      await assertRows(rokka);
      assert.deepEqual(goneOf(await records(place)), []);
      await rokka.until('all six are members', settledWith(SIX));
    },
  );

  test('nodes that were written off without need take part again', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await filled(place);
    {
      await using registry = await openClusterRegistry(place.data);
      for (const { ordinal, zone } of await listNodes(registry)) {
        await changeNode(registry, ordinal, { gone: true });
        await addNode(registry, { zone, random: systemRandom });
      }
    }
    await rokka.again();
    assert.match(rokka.up.out, /node 6 was written off, and its data is back/);
    await assertRows(rokka);
    await rokka.until('the first six are members', settledWith(SIX));
  });

  test(
    'of a zone and one more node: they are replaced, and written off after that',
    { timeout },
    async () => {
      await using place = await TestPlace.make();
      await using rokka = await filled(place);
      new Disk(place).unmount(1, 2, 3);
      const up = new RokkaCommand(['up', '--data', place.data, '--port', String(place.port)]);
      try {
        await up.says('node 9 comes in place of node 3 in zone b');
        while (!up.out.includes('rokka is up') && up.running) {
          await assertNoMemberIsGone(place);
          await systemClock.sleep(LOOK_AGAIN_MS);
        }
        await up.says('rokka is up');
        await assertRows(rokka);
        await rokka.until('the others are members', settledWith([4, 5, 6, 7, 8, 9]));
        await up.says('node 3 in zone b holds nothing that is needed: it is written off');
        await up.says('node 2 in zone a holds nothing that is needed: it is written off');
        await up.says('node 1 in zone a holds nothing that is needed: it is written off');
        assert.deepEqual(goneOf(await records(place)), [1, 2, 3]);
        assert.equal((await records(place)).length, 9);
        await assertRows(rokka);
      } finally {
        kill(up.pid, 'SIGINT');
        await up.ended();
      }
    },
  );

  test(
    'of one node, mounted while the others serve: it starts, and is a member as before',
    { timeout },
    async () => {
      await using place = await TestPlace.make();
      await using rokka = await filled(place);
      const disk = new Disk(place);
      disk.unmount(4);
      const up = new RokkaCommand(['up', '--data', place.data, '--port', String(place.port)]);
      try {
        await up.says('rokka is up');
        disk.mount(4);
        await up.says('the data of node 4 is back: it starts');
        await rokka.until('all six are members', settledWith(SIX));
        assert.deepEqual(goneOf(await records(place)), []);
        await assertRows(rokka);
      } finally {
        kill(up.pid, 'SIGINT');
        await up.ended();
      }
    },
  );
});
