import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { must, VirtualClock, type VolumeId } from '@rokka/kernel';
import { launchChild } from '../child.ts';
import { SpareProcess } from '../spare-process.ts';
import { headCommand } from './head-child.ts';
import { NEXT_HEAD_NAME, NextHead } from './next-head.ts';

const GIB = 2 ** 30;
const WAITS = `process.on('disconnect', () => process.exit(0)); process.on('message', () => {});`;
const timeout = 180_000;

function made(of: { memoryBytes: number }) {
  const clock = new VirtualClock();
  const launched: { count: number; last?: ChildProcess } = { count: 0 };
  const head = new NextHead({
    clock,
    memoryBytes: of.memoryBytes,
    launch: () => {
      launched.count++;
      launched.last = launchChild({ command: () => ({ command: process.execPath, args: ['-e', WAITS] }) });
      return launched.last;
    },
  });
  return { clock, head, launched, pass: (ms: number) => clock.advanceTo(clock.nowMs() + ms) };
}

test(
  'a head waits a moment after a database serves, and another one when it was taken',
  { timeout },
  async () => {
    const { head, launched, pass } = made({ memoryBytes: 8 * GIB });
    await using resources = new AsyncDisposableStack();
    resources.use(head);
    pass(600_000);
    assert.equal(launched.count, 0, 'nobody has served yet');
    head.prepareSoon();
    assert.equal(head.spare.waits, false, 'who has just begun has the machine for itself');
    pass(10_000);
    assert.equal(head.spare.waits, true);
    head.prepareSoon();
    pass(10_000);
    assert.equal(launched.count, 1, 'one is enough');
    const taken = must(head.spare.take());
    resources.defer(() => void taken.kill('SIGKILL'));
    assert.equal(head.spare.waits, false);
    head.prepareSoon();
    pass(10_000);
    assert.deepEqual([launched.count, head.spare.waits], [2, true]);
    const ended = new Promise((resolve) => taken.once('exit', resolve));
    await head[Symbol.asyncDispose]();
    assert.equal(head.spare.waits, false, 'it goes with whoever keeps it');
    assert.equal(taken.exitCode, null, 'who was taken goes on');
    taken.disconnect();
    await ended;
    head.prepareSoon();
    pass(10_000);
    assert.equal(launched.count, 2, 'none comes after the end');
  },
);

test('one that ends while it waits is made again after a while', { timeout }, async () => {
  const { head, launched, pass } = made({ memoryBytes: 8 * GIB });
  await using _head = head;
  head.prepareSoon();
  pass(10_000);
  const child = must(launched.last);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(head.spare.waits, false);
  pass(600_000);
  assert.deepEqual([launched.count, head.spare.waits], [2, true]);
});

test('where memory is short none waits', { timeout }, async () => {
  const { head, launched, pass } = made({ memoryBytes: 2 * GIB });
  await using _head = head;
  head.prepareSoon();
  pass(600_000);
  assert.equal(launched.count, 0);
});

test(
  'a head that comes after one which kept no spare begins with the one that waits',
  { timeout },
  async () => {
    const { head, launched, pass } = made({ memoryBytes: 8 * GIB });
    await using resources = new AsyncDisposableStack();
    resources.use(head);
    const launch = () => {
      launched.last = launchChild({ command: () => ({ command: process.execPath, args: ['-e', WAITS] }) });
      return launched.last;
    };
    const before = resources.use(new SpareProcess({ launch, onMissing: () => {} }));
    head.prepareSoon();
    pass(10_000);
    const waits = must(launched.last);
    before.prepare();
    const own = must(launched.last);
    const next = head.after(before);
    for (const [expected, what] of [
      [own, 'the spare of the head before it comes first'],
      [waits, 'then the one that waits for any'],
    ] as const) {
      const taken = must(next.take());
      resources.defer(() => void taken.kill('SIGKILL'));
      assert.equal(taken.pid, expected.pid, what);
    }
    assert.equal(next.take(), undefined);
  },
);

test(
  'a head that waits ends where there can be no stage for PostgreSQL, and is not used',
  { timeout },
  async (context) => {
    await using resources = new AsyncDisposableStack();
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-next-head-'));
    resources.defer(() => fs.rmSync(directory, { recursive: true, force: true }));
    const options = {
      directory,
      cluster: 'none',
      name: NEXT_HEAD_NAME,
      volumeId: 'none' as VolumeId,
      engine: 'native' as const,
      port: 1,
      cacheBytes: 1,
      postgres: path.join(directory, 'none'),
      settings: {},
      databaseName: 'none',
      userName: 'none',
    };
    const child = launchChild({ command: () => headCommand(options) });
    resources.defer(() => void child.kill('SIGKILL'));
    const said: string[] = [];
    child.on('message', (message) => void said.push((message as { code?: string }).code ?? ''));
    await once(child, 'close', { signal: context.signal });
    assert.match(said.join(), /^DATABASE_BINARIES_/);
  },
);
