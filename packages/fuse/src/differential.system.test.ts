import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { after, suite, test } from 'node:test';
import { checkFilesystem, FileSystem } from '@rokka/filesystem';
import { systemClock } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { cannotMount, cleanUp, leftMounted, Mounted, run, temporaryDirectory } from './testing/mounted.ts';

const DIFFERENTIAL = fileURLToPath(new URL('testing/differential.ts', import.meta.url));
const STEPS = 1500;
/** Operations that a run must have carried out, or it has proved nothing. */
const MUST_HAPPEN = [
  'write file',
  'write at',
  'rename',
  'link',
  'unlink',
  'truncate',
  'remove directory',
  'close',
];

suite('the mount does what the system’s own filesystem does', { skip: cannotMount }, () => {
  after(() => assert.deepEqual(leftMounted(), []));

  for (const [seed, cache] of [
    [1, 'direct'],
    [2, 'direct'],
    [3, 'kernel'],
  ] as const) {
    test(`seed ${seed}, cache ${cache}`, { timeout: 600_000 }, async (t) => {
      await using mounted = await Mounted.make({ cache });
      const reference = temporaryDirectory();
      t.after(() => cleanUp(reference));
      const args = [DIFFERENTIAL, mounted.directory, reference, String(seed), String(STEPS)];
      const { status, stdout, stderr } = await run(process.execPath, args);
      assert.equal(status, 0, stderr);
      const happened = JSON.parse(stdout) as Record<string, number>;
      for (const name of MUST_HAPPEN) assert.ok((happened[name] ?? 0) >= 3, `${name}: ${stdout}`);
      await mounted.server[Symbol.asyncDispose]();
      assert.deepEqual(checkFilesystem(mounted.store).problems, []);
      assert.deepEqual(mounted.log, []);
    });
  }

  test('and after a crash at any point it is a sound filesystem', { timeout: 600_000 }, async (t) => {
    await using mounted = await Mounted.make();
    const reference = temporaryDirectory();
    t.after(() => cleanUp(reference));
    const { status, stderr } = await run(process.execPath, [
      DIFFERENTIAL,
      mounted.directory,
      reference,
      '4',
      '400',
    ]);
    assert.equal(status, 0, stderr);
    const { history } = mounted.store;
    assert.ok(history.length > 100, `${history.length} mini-transactions`);
    for (let length = 1; length <= history.length; length += Math.ceil(history.length / 40)) {
      const crashed = MemoryPageStore.replay(history, length);
      FileSystem.mount(crashed, { clock: systemClock });
      assert.deepEqual(checkFilesystem(crashed).problems, [], `after ${length} mini-transactions`);
    }
  });
});
