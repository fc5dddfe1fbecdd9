import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { after, suite, test } from 'node:test';
import { checkFilesystem } from '@rokka/filesystem';
import {
  cannotMount,
  leftMounted,
  Mounted,
  python,
  run,
  sh,
  shell,
  temporaryDirectory,
} from './testing/mounted.ts';

interface Outcome {
  name: string;
  error: string | null;
}

/** Counts free blocks: on the system's own filesystem other programs write meanwhile. */
const OTHERS_MATTER = 'state of the filesystem';
const CHECKS_LEAST = 35;
const LIMIT = { timeout: 600_000 };
const hasPython = (await run('python3', ['-c', 'import sqlite3']).catch(() => undefined))?.status === 0;
const skip = cannotMount || (hasPython ? false : 'needs python3');

async function workout(directory: string): Promise<Outcome[]> {
  const { stdout, stderr } = await python('posix-workout.py', [directory]);
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  assert.ok(lines.length >= CHECKS_LEAST, stdout.slice(-2000) + stderr);
  return lines.map((line) => JSON.parse(line) as Outcome);
}

suite('POSIX', { skip }, () => {
  after(() => assert.deepEqual(leftMounted(), []));

  test('the checks hold on the system’s own filesystem', LIMIT, async () => {
    const directory = temporaryDirectory();
    try {
      const outcomes = await workout(directory);
      const broken = outcomes.filter(({ name, error }) => error && name !== OTHERS_MATTER);
      assert.deepEqual(broken, []);
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });

  for (const cache of ['direct', 'kernel'] as const) {
    test(`on the mount (cache: ${cache})`, LIMIT, async (t) => {
      await using mounted = await Mounted.make({ cache });
      for (const { name, error } of await workout(mounted.directory)) {
        await t.test(name, () => assert.equal(error, null, error ?? ''));
      }
      assert.equal(await sh('ls -A', mounted.directory), '');
      await mounted.server[Symbol.asyncDispose]();
      assert.deepEqual(mounted.log, []);
      const { problems, files } = checkFilesystem(mounted.store);
      assert.deepEqual({ problems, files }, { problems: [], files: 0 });
    });
  }

  test('a full filesystem says so, keeps what it has, and goes on when there is room', LIMIT, async () => {
    // 4096 pages of 8 KiB are 32 MiB.
    await using mounted = await Mounted.make({ pagesMax: 4096 });
    const { directory } = mounted;
    await sh('seq 100000 > kept; md5sum kept > sum', directory);
    const filled = await shell('cat /dev/zero > big', directory);
    assert.match(filled.stderr, /No space left on device/);
    const reserved = await shell('fallocate -l 100M more', directory);
    assert.match(reserved.stderr, /No space left on device/);
    await sh('md5sum -c sum; rm -f big more', directory);
    // The space comes back when the kernel lets go of the file, right after rm.
    const again = await shell(
      'for i in $(seq 100); do head -c 20000000 /dev/zero > big && exit 0; sleep 0.2; done; exit 1',
      directory,
    );
    assert.equal(again.status, 0, again.stderr);
    await sh('md5sum -c sum', directory);
    assert.deepEqual(mounted.log, []);
  });
});
