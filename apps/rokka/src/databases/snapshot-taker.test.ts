/** Snapshots that were asked for, one by one and in sets, with heads that are stand-ins. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, type Lsn } from '@rokka/kernel';
import { ControllerBench as Bench } from '../testing/controller-bench.ts';

/** Databases one and two are there. */
async function serveBoth(bench: Bench): Promise<void> {
  for (const name of ['one', 'two']) {
    await bench.create(name);
    must(bench.head(name)).serve();
  }
  await bench.pass(300);
}

test('a snapshot is settled by the head, again where it cannot now, and fails where nobody will', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('one');
  must(bench.head('one')).serve();
  await bench.pass(300);
  const record = await bench.databases.get('one');
  const phaseOf = async (name: string) => (await bench.snapshots.get(name)).phase;
  const first = await bench.snapshots.request(record);
  assert.equal(await phaseOf(first.name), 'creating');
  await bench.pass(300);
  const { phase, lsn } = await bench.snapshots.get(first.name);
  assert.deepEqual([phase, lsn], ['available', 1]);
  assert.equal(await bench.snapshots.password(first.name), await bench.secrets.read('one'));

  must(bench.head('one')).refuses = true;
  const second = await bench.snapshots.request(record);
  await bench.pass(2_500);
  assert.equal(await phaseOf(second.name), 'creating');
  assert.ok(must(bench.head('one')).asked.length >= 3);
  // Whoever comes after a crash goes on with it.
  await bench.crash();
  await bench.pass(300);
  assert.equal(await phaseOf(second.name), 'creating');
  must(bench.head('one')).serve();
  await bench.pass(1_500);
  assert.equal(await phaseOf(second.name), 'available');

  await bench.databases.setDesired('one', 'stopped');
  await bench.pass(300);
  // Nobody knows where it ended: it is opened once, and for whoever asks stands still all the while.
  const third = await bench.snapshots.request(record);
  await bench.pass(600);
  assert.equal(await phaseOf(third.name), 'creating');
  assert.equal(await bench.phase('one'), 'stopped');
  must(bench.head('one')).serve();
  await bench.pass(600);
  assert.equal(await phaseOf(third.name), 'available');
  await bench.pass(600);
  assert.equal(bench.head('one'), undefined, 'it ends when nothing waits for it any more');
  assert.equal(await bench.phase('one'), 'stopped');
  const heads = bench.heads.length;
  bench.end = 77 as Lsn;
  const fourth = await bench.snapshots.request(record);
  await bench.pass(300);
  assert.equal((await bench.snapshots.get(fourth.name)).lsn, 77);
  assert.equal(bench.heads.length, heads, 'nothing was started for it');
  await bench.snapshots.remove(third.name);
  await bench.snapshots.remove(third.name);
  await assert.rejects(bench.snapshots.get(third.name), { code: 'DATABASE_NO_SNAPSHOT' });
  assert.equal(await bench.snapshots.password(third.name), undefined);
  await assert.rejects(bench.snapshots.request({ ...record, retentionDays: 0 }), {
    code: 'DATABASE_NO_ARCHIVE',
  });
});

test('of one that cannot be opened there is no snapshot, and why is said', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('one');
  must(bench.head('one')).serve();
  await bench.pass(300);
  await bench.databases.setDesired('one', 'stopped');
  await bench.pass(300);
  const snapshot = await bench.snapshots.request(await bench.databases.get('one'));
  await bench.pass(600);
  must(bench.head('one')).fail('DATABASE_PORT_USED');
  await bench.pass(600);
  const { phase, reason } = await bench.snapshots.get(snapshot.name);
  assert.equal(phase, 'failed');
  assert.match(reason ?? '', /did not end in good order; it does not start: DATABASE_PORT_USED/);
  const { length } = bench.heads;
  await bench.pass(60_000);
  assert.equal(bench.heads.length, length, 'nobody starts it again for what has failed');
});

test('a set with a closed volume that did not end in good order waits until that is opened', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const { databases, snapshots } = bench;
  await serveBoth(bench);
  await databases.setDesired('two', 'stopped');
  await bench.pass(600);
  const set = { id: 'set-1', size: 2 };
  const names = [];
  for (const name of ['one', 'two'])
    names.push((await snapshots.request(await databases.get(name), { set })).name);
  await bench.pass(1_000);
  assert.deepEqual(bench.head('one')?.asked, [], 'nobody is held while it starts');
  must(bench.head('two')).serve();
  await bench.pass(1_500);
  for (const name of names) assert.equal((await snapshots.get(name)).phase, 'available');
  await bench.pass(600);
  assert.equal(bench.head('two'), undefined);
});

test('the snapshots of a set are cut together when all are written down, and fail together', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const { databases, snapshots } = bench;
  await serveBoth(bench);
  const request = async (id: string, name: string) =>
    (await snapshots.request(await databases.get(name), { set: { id, size: 2 } })).name;
  const phases = async (names: string[]) =>
    (await Promise.all(names.map((name) => snapshots.get(name)))).map(({ phase }) => phase);
  const first = await request('set-1', 'one');
  await bench.pass(2_000);
  assert.deepEqual(await phases([first]), ['creating']);
  assert.deepEqual(bench.head('one')?.asked, []);
  const second = await request('set-1', 'two');
  await bench.pass(1_000);
  assert.deepEqual(await phases([first, second]), ['available', 'available']);
  assert.deepEqual(bench.head('one')?.asked, ['hold', 'cut', 'release', 'archive-cut']);
  assert.equal((await snapshots.get(first)).lsn, 2);

  must(bench.head('two')).refuses = true;
  const lost = [await request('set-2', 'one'), await request('set-2', 'two')];
  await bench.pass(2_000);
  assert.deepEqual(await phases(lost), ['creating', 'creating']);
  await bench.pass(8_000);
  assert.deepEqual(await phases(lost), ['failed', 'failed']);

  // Of two that share a database one comes after the other: a second hold would end the first.
  must(bench.head('two')).refuses = false;
  must(bench.head('one')).asked.length = 0;
  const both = [];
  for (const id of ['set-4', 'set-5']) for (const name of ['one', 'two']) both.push(await request(id, name));
  await bench.pass(4_000);
  assert.deepEqual(await phases(both), ['available', 'available', 'available', 'available']);
  const once = ['hold', 'cut', 'release', 'archive-cut'];
  assert.deepEqual(bench.head('one')?.asked, [...once, ...once]);

  // Some of it was removed before the rest was written down: nothing waits for ever.
  const alone = await request('set-3', 'one');
  await bench.pass(50_000);
  assert.deepEqual(await phases([alone]), ['creating']);
  await bench.pass(12_000);
  assert.deepEqual(await phases([alone]), ['failed']);
});

test('a database that is made, and copied at once, while all are looked at is not taken for gone', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const { databases, snapshots, registry } = bench;
  const list = registry.list.bind(registry);
  const asked: string[] = [];
  registry.list = async <T>(prefix: string) => {
    const found = await list<T>(prefix);
    // Between a pass's view of the records and its look at the snapshots.
    if (prefix !== 'database-states/' || asked.length > 0) return found;
    const set = { id: 'set-1', size: 1 };
    const record = await databases.create({ name: 'late', engine: 'native' });
    asked.push((await snapshots.request(record)).name, (await snapshots.request(record, { set })).name);
    return found;
  };
  await bench.pass(600);
  must(bench.head('late')).serve();
  await bench.pass(2_000);
  assert.equal(asked.length, 2);
  for (const name of asked) assert.equal((await snapshots.get(name)).phase, 'available');
});
