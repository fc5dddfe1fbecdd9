/** Copies of the cluster's state, and the snapshots that want them, with heads that are stand-ins. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deferred, type Lsn, must } from '@rokka/kernel';
import { ControllerBench as Bench } from '../testing/controller-bench.ts';

const MIRROR = 'boot-0123456789abcdef';

/** One that wants the state as it is now. */
async function asked(bench: Bench, set?: { id: string; size: number }): Promise<string> {
  const stateCopy = await bench.databases.wantStateCopy(MIRROR);
  const record = await bench.databases.get(MIRROR);
  return (await bench.snapshots.request(record, { stateCopy, ...(set && { set }) })).name;
}

const phases = async (bench: Bench, ...names: string[]) =>
  (await Promise.all(names.map((name) => bench.snapshots.get(name)))).map(({ phase }) => phase);

test('a snapshot is taken of a copy that is whole, and made after it was asked for', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const head = await bench.createMirror(MIRROR);
  await bench.pass(2_000);
  assert.deepEqual(head.asked, [], 'nobody has asked for a copy');
  const copying = new Deferred<void>();
  head.waits.set('copy-state', copying);
  const first = await asked(bench);
  await bench.pass(2_000);
  assert.deepEqual(head.asked, ['copy-state']);
  assert.deepEqual(await phases(bench, first), ['creating']);
  assert.deepEqual(await bench.copies.get(MIRROR), { version: 0, underWay: 1 });
  // One that comes while it is copied is not in it.
  const second = await asked(bench);
  head.waits.clear();
  copying.resolve();
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, first, second), ['available', 'available']);
  assert.deepEqual(head.asked, ['copy-state', 'archive', 'copy-state', 'archive']);
  assert.deepEqual(await bench.copies.get(MIRROR), { version: 2 });
  await bench.databases.setDesired(MIRROR, 'deleted');
  await bench.pass(1_000);
  assert.deepEqual(await bench.registry.get(`state-copies/${MIRROR}`), undefined);
});

test('nothing is copied while points are taken, and points are taken beside each other', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const head = await bench.createMirror(MIRROR);
  const [one, other] = [new Deferred<void>(), new Deferred<void>()];
  head.waits.set('archive', one);
  const first = await asked(bench);
  await bench.pass(1_000);
  head.waits.set('archive', other);
  // For which the same copy does. It is not kept waiting: programs may be held for its set.
  const record = await bench.databases.get(MIRROR);
  const same = await bench.snapshots.request(record, { stateCopy: 1 });
  const set = { id: 'set-1', size: 1 };
  const inSet = await bench.snapshots.request(record, { stateCopy: 1, set });
  await bench.pass(2_000);
  const taken = ['copy-state', 'archive', 'archive', 'hold', 'cut', 'release', 'archive-cut'];
  assert.deepEqual(new Set(head.asked), new Set(taken));
  assert.equal(head.asked.length, taken.length);
  const next = await asked(bench);
  one.resolve();
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, first, same.name, inSet.name), ['available', 'creating', 'available']);
  assert.equal(head.asked.length, taken.length, 'one of them is still taken');
  head.waits.clear();
  other.resolve();
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, same.name, next), ['available', 'available']);
});

test('nothing is copied before a set is in the archive, and nothing is taken once a copy has begun', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const head = await bench.createMirror(MIRROR);
  const archiving = new Deferred<void>();
  head.waits.set('archive-cut', archiving);
  const first = await asked(bench, { id: 'set-1', size: 1 });
  await bench.pass(1_000);
  const cut = ['copy-state', 'hold', 'cut', 'release', 'archive-cut'];
  assert.deepEqual(head.asked, cut);
  await bench.databases.wantStateCopy(MIRROR);
  await bench.pass(2_000);
  assert.deepEqual(head.asked, cut);
  // That it is under way is slow to be written down.
  const written = new Deferred<void>();
  const tell = bench.copies.tell.bind(bench.copies);
  bench.copies.tell = async (...of) => written.promise.then(() => tell(...of));
  archiving.resolve();
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, first), ['available']);
  const second = await bench.snapshots.request(await bench.databases.get(MIRROR), { stateCopy: 1 });
  await bench.pass(2_000);
  assert.deepEqual(head.asked, cut);
  written.resolve();
  await bench.pass(2_000);
  assert.deepEqual(head.asked, [...cut, 'copy-state', 'archive']);
  assert.deepEqual(await phases(bench, second.name), ['available']);
});

test('programs of a set are held after the copy, and the set is whole with it', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const head = await bench.createMirror(MIRROR);
  await bench.create('one');
  const one = must(bench.head('one'));
  one.serve();
  await bench.pass(300);
  const copying = new Deferred<void>();
  head.waits.set('copy-state', copying);
  const set = { id: 'set-1', size: 2 };
  const boot = await asked(bench, set);
  const { name } = await bench.snapshots.request(await bench.databases.get('one'), { set });
  await bench.pass(5_000);
  assert.deepEqual([head.asked, one.asked], [['copy-state'], []]);
  copying.resolve();
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, boot, name), ['available', 'available']);
  const cut = ['hold', 'cut', 'release', 'archive-cut'];
  assert.deepEqual([head.asked, one.asked], [['copy-state', ...cut], cut]);
});

test('of a copy that was cut short nothing is taken before it is whole, whoever dies', async () => {
  await using bench = await Bench.start();
  await bench.up();
  let head = await bench.createMirror(MIRROR);
  const before = await asked(bench);
  await bench.pass(2_000);
  head.waits.set('copy-state', new Deferred<void>());
  const waiting = await asked(bench);
  await bench.pass(1_000);
  // The head has written half of it; the supervisor is killed with it.
  await bench.crash();
  await bench.pass(300);
  head = must(bench.head(MIRROR));
  head.waits.set('copy-state', new Deferred<void>());
  head.serve();
  await bench.pass(2_000);
  assert.deepEqual(head.asked, ['copy-state']);
  // One for which an older copy would do finds none any more.
  const record = await bench.databases.get(MIRROR);
  const older = await bench.snapshots.request(record, { stateCopy: 1 });
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, before, waiting, older.name), ['available', 'creating', 'creating']);
  // Nor where it ended: that is the middle of a copy, too.
  bench.end = 77 as Lsn;
  await bench.databases.setDesired(MIRROR, 'stopped');
  await bench.pass(500);
  must(head.waits.get('copy-state')).resolve();
  await bench.pass(500);
  assert.deepEqual(await phases(bench, waiting, older.name), ['creating', 'creating']);
  await bench.databases.setDesired(MIRROR, 'running');
  await bench.pass(500);
  must(bench.head(MIRROR)).serve();
  await bench.pass(2_500);
  assert.deepEqual(await phases(bench, waiting, older.name), ['available', 'available']);
});

test('a copy that cannot be made fails what waits for it, and the next one is tried', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const head = await bench.createMirror(MIRROR);
  head.refuses = true;
  const set = { id: 'set-1', size: 1 };
  const lost = [await asked(bench), await asked(bench, set)];
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, ...lost), ['creating', 'creating']);
  await bench.pass(6_000);
  assert.deepEqual(await phases(bench, ...lost), ['failed', 'failed']);
  assert.match(must((await bench.snapshots.get(must(lost[1]))).reason), /it is so/);
  const tries = head.asked.length;
  await bench.pass(5_000);
  assert.equal(head.asked.length, tries, 'nobody waits for it');
  head.refuses = false;
  const next = await asked(bench);
  await bench.pass(2_000);
  assert.deepEqual(await phases(bench, next), ['available']);
  await bench.databases.setDesired(MIRROR, 'deleted');
  const late = await bench.snapshots.request(await bench.databases.get(MIRROR), { stateCopy: 9 });
  await bench.pass(1_000);
  assert.deepEqual(await phases(bench, late.name), ['failed']);
});
