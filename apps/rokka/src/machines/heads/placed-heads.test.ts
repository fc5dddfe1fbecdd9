/** Heads on joined machines as the controller has them: machines that are cut off, controllers that begin anew, volumes that are taken away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { ControllerBench } from '../../testing/controller-bench.ts';
import { STAND_IN_BYTES, StandInMachine } from '../../testing/placed-bench.ts';
import { AWAY_MS } from './head-orders.ts';

const NAME = 'vol-1';
const ON_SECOND = { sizeBytes: STAND_IN_BYTES, mount: 'sdf', machine: 'm-2' };
const BARE = { sizeBytes: STAND_IN_BYTES };
const PASS_MS = 500;

interface Placed extends AsyncDisposable {
  readonly bench: ControllerBench;
  readonly second: StandInMachine;
}

/** A volume that is mounted on the second machine. */
async function mounted(): Promise<Placed> {
  const bench = await ControllerBench.start();
  await bench.up();
  const second = new StandInMachine('m-2');
  second.connect(bench.placed);
  await bench.databases.create({ name: NAME, engine: 'files', files: ON_SECOND });
  await bench.pass(PASS_MS);
  second.serve(NAME);
  await bench.pass(PASS_MS);
  return { bench, second, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

async function said(bench: ControllerBench): Promise<string> {
  const { phase, reason, mountPoint } = must(await bench.databases.state(NAME));
  return [phase, mountPoint ?? '-', reason?.split(':')[0] ?? ''].join(' ').trim();
}

test('it runs on its machine and nowhere else, answers from there, and ends there in good order', async () => {
  await using of = await mounted();
  const { bench, second } = of;
  assert.equal(await said(bench), `available /run/${NAME}`);
  assert.equal(bench.head(NAME), undefined);
  const head = must(bench.controller.head(NAME));
  assert.deepEqual(await head.ask('archive', 1_000), { what: 'archive' });
  await assert.rejects(head.ask('ill', 1_000), { code: 'ARCHIVE_EMPTY' });
  await bench.databases.setDesired(NAME, 'stopped');
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), 'stopped -');
  assert.deepEqual(second.ends, [`${NAME} in-order`]);
  await assert.rejects(head.ask('archive', 1_000), { code: 'ROKKA_CHILD_AWAY' });
});

test('a machine that is not heard is told to be away, and is found again with what it has', async () => {
  await using of = await mounted();
  const { bench, second } = of;
  const running = second.heads.get(NAME);
  second.cut();
  await bench.pass(AWAY_MS + 2_000);
  assert.equal(await said(bench), 'starting - ROKKA_MACHINE_AWAY');
  second.connect(bench.placed);
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), `available /run/${NAME}`);
  // It has begun anew, with nothing.
  second.heads.clear();
  second.connect(bench.placed);
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), 'starting -');
  second.serve(NAME);
  await bench.pass(PASS_MS);
  assert.deepEqual(second.heads.get(NAME)?.generation, running?.generation);
  assert.deepEqual(second.ends, []);
});

test('a controller that begins anew finds what runs elsewhere, before and after its machine is there', async () => {
  for (const late of [false, true]) {
    await using of = await mounted();
    const { bench, second } = of;
    const { nonce } = must(second.heads.get(NAME));
    const crashed = bench.crash();
    if (!late) second.connect(bench.placed);
    await crashed;
    await bench.pass(PASS_MS);
    if (late) second.connect(bench.placed);
    await bench.pass(PASS_MS);
    assert.equal(await said(bench), `available /run/${NAME}`);
    assert.equal(second.heads.get(NAME)?.nonce, nonce);
    assert.deepEqual(second.ends, []);
  }
});

test('what was to end is ended by the next controller, and told to have ended only then', async () => {
  await using of = await mounted();
  const { bench, second } = of;
  second.lingers = true;
  await bench.databases.setDesired(NAME, 'stopped');
  await bench.pass(PASS_MS);
  await bench.crash();
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), 'stopping - ROKKA_MACHINE_AWAY');
  second.connect(bench.placed);
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), 'stopping -');
  second.lingers = false;
  second.connect(bench.placed);
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), 'stopped -');
  assert.deepEqual(second.ends, [`${NAME} in-order`]);
});

test('a volume that is taken from a machine which is away runs here, and ends there when that is heard', async () => {
  await using of = await mounted();
  const { bench, second } = of;
  second.cut();
  await bench.databases.setDesired(NAME, 'stopped');
  await bench.pass(AWAY_MS + 2_000);
  assert.equal(await said(bench), 'stopping - ROKKA_MACHINE_AWAY');
  await bench.databases.change(NAME, { files: BARE }, { restart: true });
  await bench.databases.setDesired(NAME, 'running');
  await bench.pass(PASS_MS);
  must(bench.head(NAME)).serve();
  await bench.pass(PASS_MS);
  assert.equal((await bench.databases.state(NAME))?.phase, 'available');
  assert.ok(second.heads.has(NAME));
  second.connect(bench.placed);
  await bench.pass(PASS_MS);
  assert.deepEqual(second.ends, [`${NAME} at-once`]);
  assert.equal((await bench.databases.state(NAME))?.phase, 'available');
});

test('one that cannot begin there says why, and is tried again as another attempt', async () => {
  await using of = await mounted();
  const { bench, second } = of;
  const { nonce } = must(second.heads.get(NAME));
  second.fail(NAME, { code: 'FUSE_NO_DEVICE', message: 'it is so' });
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), 'failed - FUSE_NO_DEVICE');
  await bench.pass(3_000);
  const again = must(second.heads.get(NAME));
  assert.notEqual(again.nonce, nonce);
  assert.equal(again.final, undefined);
  second.serve(NAME);
  await bench.pass(PASS_MS);
  assert.equal(await said(bench), `available /run/${NAME}`);
});
