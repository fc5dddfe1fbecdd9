/** Which files are on a volume, and how far the search goes. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { searchDirectories, type SearchLimits } from './directory-search.ts';
import { obeying } from './obeying.ts';
import { isPlaced, placeVolumes } from './placement.ts';
import { withSiblings } from './sqlite-files.ts';

const signal = () => AbortSignal.timeout(60_000);

function tree(t: TestContext): string {
  const base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-place-')));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  fs.mkdirSync(path.join(base, 'volume/a/b'), { recursive: true });
  fs.mkdirSync(path.join(base, 'volume-2'));
  for (const file of ['volume/1', 'volume/a/2', 'volume/a/b/3', 'volume-2/4'])
    fs.writeFileSync(path.join(base, file), '');
  fs.symlinkSync(path.join(base, 'volume-2'), path.join(base, 'volume/out'));
  return base;
}

test('a file is on the volume whose mount point it is below, on the same device', async (t) => {
  const base = tree(t);
  fs.symlinkSync(path.join(base, 'volume'), path.join(base, 'link'));
  const volumes = await placeVolumes([{ mountPoint: path.join(base, 'link') }], signal());
  const [{ device, root, whole }] = volumes;
  assert.equal(root, path.join(base, 'volume'));
  assert.equal(whole, false);
  const placed = (file: string, on = device) =>
    isPlaced(volumes, { path: path.join(base, file), device: on });
  assert.deepEqual(
    ['volume', 'volume/a/2', 'volume-2/4', ''].map((file) => placed(file)),
    [true, true, false, false],
  );
  assert.equal(placed('volume/a/2', device + 1), false, 'another mount inside of it');
});

test('the search follows no links, and ends at its limits with what is nearest', async (t) => {
  const base = tree(t);
  const [volume] = await placeVolumes([{ mountPoint: path.join(base, 'volume') }], signal());
  const found = async (limits: SearchLimits) => {
    const names = [];
    for await (const { files } of searchDirectories(volume, { signal: signal(), limits }))
      names.push(...files);
    return names.sort();
  };
  assert.deepEqual(await found({ depthMax: 8, entriesMax: 100 }), ['1', '2', '3']);
  assert.deepEqual(await found({ depthMax: 1, entriesMax: 100 }), ['1', '2']);
  assert.deepEqual(await found({ depthMax: 8, entriesMax: 3 }), ['1']);
});

test('whoever waits for a file system goes when the signal says so', async () => {
  const never = new Promise<void>(() => {});
  await assert.rejects(obeying(never, AbortSignal.timeout(10)), { name: 'TimeoutError' });
  await assert.rejects(obeying(Promise.resolve(1), AbortSignal.abort(new Error('over'))), /over/);
  assert.equal(await obeying(Promise.resolve(1), signal()), 1);
  // Would end the test's process if nobody listened.
  await assert.rejects(
    obeying(Promise.reject(new Error('work')), AbortSignal.abort(new Error('over'))),
    /over/,
  );
  await new Promise((resolve) => setImmediate(resolve));
});

test('a log or a journal beside a file makes it one to look at', () => {
  assert.deepEqual(withSiblings(['a', 'a-wal', 'b', 'b-journal', 'c', 'd-wal']), ['a', 'b']);
});
