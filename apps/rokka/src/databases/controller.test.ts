/** The controller: turns, failures, deletions that are cut short. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { Databases } from '@rokka/databases';
import { Deferred, must, SeededRandom } from '@rokka/kernel';
import { ControllerBench as Bench } from '../testing/controller-bench.ts';

test('main comes first, then two at a time', async () => {
  await using bench = await Bench.start();
  for (const name of ['a', 'b', 'c', 'd']) await bench.databases.create({ name, engine: 'native' });
  const started = bench.controller.start();
  await bench.pass(1_000);
  const running = () => bench.heads.filter(({ ended }) => !ended).map(({ record }) => record.name);
  assert.deepEqual(running(), ['main']);
  must(bench.head('main')).serve();
  await started;
  await bench.pass(1_000);
  assert.deepEqual(running(), ['main', 'a', 'b']);
  must(bench.head('b')).serve();
  await bench.pass(1_000);
  assert.deepEqual(running(), ['main', 'a', 'b', 'c']);
  // One that takes long holds up nobody.
  await bench.pass(31_000);
  assert.deepEqual(running(), ['main', 'a', 'b', 'c', 'd']);
  assert.equal(await bench.phase('b'), 'available');
  assert.equal(await bench.phase('d'), 'creating');
});

test('main that cannot start is told to whoever started it', async () => {
  await using bench = await Bench.start();
  const started = bench.controller.start();
  started.catch(() => {});
  await bench.pass(300);
  must(bench.head('main')).fail('DATABASE_PORT_USED');
  await assert.rejects(started, { code: 'DATABASE_PORT_USED' });
  assert.deepEqual(
    bench.finals.map(({ code }) => code),
    ['DATABASE_PORT_USED'],
  );
});

test('one that fails says why, is tried again by itself, and at once when it is changed', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  must(bench.head('a')).fail('DATABASE_PORT_USED');
  await bench.pass(300);
  const failed = await bench.databases.state('a');
  assert.deepEqual([failed?.phase, failed?.reason], ['failed', 'DATABASE_PORT_USED: it is so']);
  assert.equal(bench.head('a'), undefined);
  await bench.pass(2_000);
  must(bench.head('a')).fail('DATABASE_PORT_USED');
  await bench.pass(2_000);
  assert.equal(bench.head('a'), undefined, 'the pause grows');
  await bench.databases.change('a', { port: 6_000 });
  await bench.pass(300);
  assert.equal(must(bench.head('a')).record.port, 6_000);
  must(bench.head('a')).serve();
  await bench.pass(300);
  const { atMs: _, ...state } = must(await bench.databases.state('a'));
  assert.deepEqual(state, {
    phase: 'available',
    generation: 0,
    passwordVersion: 0,
    endpoint: { host: '127.0.0.1', port: 6_000 },
  });
  assert.deepEqual(bench.finals, []);
});

test('the next head begins when nothing of the last one is left', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  const first = must(bench.head('a'));
  first.lingers = new Deferred();
  first.fail('DATABASE_PORT_USED');
  await bench.pass(10_000);
  const early = bench.head('a');
  first.lingers.resolve();
  assert.equal(early, undefined, 'its mount is still being taken away');
  await bench.pass(1_000);
  must(bench.head('a')).serve();
  await bench.pass(300);
  assert.equal(await bench.phase('a'), 'available');
});

test('what is deleted goes, whatever fails or is killed on the way', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  const head = must(bench.head('a'));
  head.serve();
  await bench.pass(300);
  bench.drop = 'ill';
  await bench.databases.setDesired('a', 'deleted');
  await bench.pass(300);
  assert.equal(head.ended, true);
  const state = await bench.databases.state('a');
  assert.deepEqual([state?.phase, state?.reason], ['deleting', 'REGISTRY_UNREACHABLE: it is so']);
  bench.drop = 'never';
  await bench.pass(10_000);
  await bench.crash();
  assert.equal(await bench.phase('a'), 'deleting');
  assert.equal(bench.volumes.size, 1);
  bench.drop = 'node away';
  await bench.crash();
  await bench.pass(1_000);
  assert.deepEqual([(await bench.databases.list()).length, bench.half.size], [1, 1]);
  assert.deepEqual(fs.readdirSync(bench.directory), ['postgres-password']);
  // The name is free at once, and what the node still holds is not that of the next.
  await bench.create('a');
  bench.drop = 'well';
  await bench.pass(11_000);
  assert.deepEqual([bench.half.size, bench.volumes.size], [0, 1]);
});

test('a wish that comes in the middle of another one is carried out next', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  await bench.databases.setDesired('a', 'stopped');
  await bench.pass(300);
  assert.equal(bench.head('a'), undefined);
  assert.equal(await bench.phase('a'), 'stopped');
  await bench.databases.setDesired('a', 'running');
  await bench.pass(300);
  const first = must(bench.head('a'));
  await bench.databases.restart('a');
  await bench.pass(300);
  const second = must(bench.head('a'));
  assert.notEqual(first, second);
  second.serve();
  await bench.pass(300);
  assert.equal((await bench.databases.state('a'))?.generation, 2);
});

test('what was changed while it should stand still counts, though its head had no time to end', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const files = { sizeBytes: 2 ** 25 };
  await bench.databases.create({ name: 'vol-b', engine: 'files', files });
  await bench.pass(300);
  const open = must(bench.head('vol-b'));
  open.serve();
  await bench.pass(300);
  const { registry, secrets, clock } = bench;
  // Those of another process: the controller looks only when all three wishes are there.
  const elsewhere = new Databases({ registry, secrets, clock, random: new SeededRandom(3) });
  await elsewhere.setDesired('vol-b', 'stopped');
  await elsewhere.change('vol-b', { files: { ...files, mount: 'sdf' } });
  await elsewhere.setDesired('vol-b', 'running');
  await bench.pass(600);
  const mounted = must(bench.head('vol-b'));
  assert.notEqual(mounted, open);
  assert.equal(mounted.record.files?.mount, 'sdf');
});

test('a standby comes and goes beside a head that serves, and is told while it waits', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  const head = must(bench.head('a'));
  head.serve();
  await bench.pass(300);
  const told = async () => (await bench.databases.state('a'))?.standbys;
  assert.deepEqual([head.spareWaits, await told()], [false, undefined]);
  await bench.databases.change('a', { standbys: 1 });
  await bench.pass(300);
  assert.deepEqual([head.spareWaits, await told()], [true, 1]);
  head.spareWaits = false;
  await bench.pass(300);
  assert.equal(await told(), undefined, 'it has taken the place of the head, or has ended');
  head.spareWaits = true;
  await bench.databases.change('a', { standbys: 0 });
  await bench.pass(300);
  assert.deepEqual([head.spareWaits, await told()], [false, undefined]);
  assert.equal(bench.head('a'), head, 'nobody was restarted for it');
});

test('who waits is the next head of a database that begins again, and goes with one that does not', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  const first = must(bench.head('a'));
  first.serve();
  await bench.databases.restart('a');
  await bench.pass(300);
  const second = must(bench.head('a'));
  assert.deepEqual([first.handedOver, second.handedOver], [undefined, must(first.given)]);
  second.serve();
  await bench.pass(300);
  await bench.databases.setDesired('a', 'stopped');
  await bench.pass(300);
  assert.equal(second.given, undefined);
  await bench.databases.setDesired('a', 'running');
  await bench.pass(300);
  const third = must(bench.head('a'));
  third.serve();
  third.lingers = new Deferred<void>();
  await bench.databases.restart('a');
  await bench.pass(300);
  await bench.databases.setDesired('a', 'stopped');
  third.lingers.resolve();
  await bench.pass(600);
  assert.equal(await bench.phase('a'), 'stopped');
  must(third.given).prepare();
  assert.equal(third.launches, 0, 'it was let go');
});

test('files without a server are there when they are mounted, and grow while they are used', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const files = { sizeBytes: 2 ** 25, mount: 'sdf' };
  await bench.databases.create({ name: 'vol-1', engine: 'files', files });
  await bench.pass(300);
  must(bench.head('vol-1')).serve();
  await bench.pass(300);
  const stated = async () => {
    const { atMs: _, ...state } = must(await bench.databases.state('vol-1'));
    return state;
  };
  const there = { phase: 'available', generation: 0, passwordVersion: 0, mountPoint: '/run/sdf' };
  assert.deepEqual(await stated(), { ...there, sizeBytes: 2 ** 25 });
  assert.deepEqual(fs.readdirSync(bench.directory), ['postgres-password']);
  must(bench.head('vol-1')).refuses = true;
  await bench.databases.change('vol-1', { files: { ...files, sizeBytes: 2 ** 26 } });
  await bench.pass(300);
  const refused = { ...there, sizeBytes: 2 ** 25, reason: 'ARCHIVE_STORE_FAILED: it is so' };
  assert.deepEqual(await stated(), refused);
  must(bench.head('vol-1')).refuses = false;
  await bench.pass(3_000);
  assert.deepEqual(await stated(), { ...there, sizeBytes: 2 ** 26 });
});
