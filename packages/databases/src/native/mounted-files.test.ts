import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGE_SIZE, systemClock, systemRandom } from '@rokka/kernel';
import { FileSystem, ROOT_INO } from '@rokka/filesystem';
import { PageCache, whenReady } from '@rokka/volume';
import { MemorySink } from '../pglite/testing/memory-sink.ts';
import { MountedFiles } from './mounted-files.ts';

const MADE = { uid: 0, gid: 0, mode: 0o700 };

/** A filesystem with pgdata/base/5/7 of 40 blocks, of which the last was never written; then read by somebody with an empty cache. */
async function files() {
  const sink = new MemorySink();
  const before = new PageCache(sink);
  await whenReady(before, () => FileSystem.format(before, { clock: systemClock, random: systemRandom }));
  const filesystem = await FileSystem.mountAsync(before, { clock: systemClock });
  const ready = <T>(operation: () => T) => whenReady(before, operation);
  let directory = ROOT_INO;
  for (const name of ['pgdata', 'base', '5']) {
    const parent = directory;
    directory = (await ready(() => filesystem.makeDirectory(parent, name, MADE))).ino;
  }
  const { ino } = await ready(() => filesystem.create(directory, '7', MADE));
  for (let block = 0; block < 39; block++)
    await ready(() => filesystem.write(ino, block * PAGE_SIZE, Buffer.alloc(PAGE_SIZE, block)));
  await ready(() => filesystem.setAttributes(ino, { sizeBytes: 40 * PAGE_SIZE }));
  await before.whenDurable(filesystem.syncAll());
  const pages = filesystem
    .pagesOf(ino)
    .flatMap(({ page, count }) => Array.from({ length: count }, (_, n) => page + n));
  const cache = new PageCache(sink, { sizeBytes: 64 * PAGE_SIZE });
  const again = await FileSystem.mountAsync(cache, { clock: systemClock });
  return { cache, pages, mounted: new MountedFiles({ filesystem: again, cache, directory: 'pgdata' }) };
}

test('files are read by their names, and what is not there is no error', async () => {
  const { mounted } = await files();
  const into = Buffer.alloc(PAGE_SIZE);
  assert.equal(await mounted.read('base/5/7', 3 * PAGE_SIZE, into), PAGE_SIZE);
  assert.deepEqual(into, Buffer.alloc(PAGE_SIZE, 3));
  assert.equal(await mounted.read('base/5/8', 0, into), undefined);
  assert.equal(await mounted.read('base/6/8', 0, into), undefined);
  assert.ok((await mounted.names('base/5')).includes('7'));
  assert.deepEqual(await mounted.names('nowhere'), []);
});

test('blocks that were written are brought in, and only they', async () => {
  const { mounted, cache, pages } = await files();
  const here = () => pages.flatMap((page, block) => (cache.has(page as never) ? [block] : []));
  const before = here();
  await mounted.fetch('base/5/7', [2, 30, 39, 4_000]);
  assert.deepEqual(
    here().filter((block) => !before.includes(block)),
    [2, 30].filter((block) => !before.includes(block)),
  );
  assert.ok(here().includes(2) && here().includes(30));
  await mounted.fetch('base/5/8', [1]);
});
