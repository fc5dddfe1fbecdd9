/** What can be read is told, what cannot is named, and nothing leads out of the volume. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { readable } from './readable.ts';

const unread = 'can be read by root alone, so that it is not tried as root';

class Volume implements Disposable {
  readonly root = fs.mkdtempSync(path.join(os.tmpdir(), 'readable-'));

  write(name: string, bytes: number): void {
    const file = path.join(this.root, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, Buffer.alloc(bytes, 1));
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.root, { recursive: true });
  }
}

const verify = (...volumes: Volume[]) =>
  readable.verify({
    mountPoints: volumes.map(({ root }) => root),
    signal: new AbortController().signal,
  });

test('every file is read to its end, in every directory, and volumes are told one by one', async () => {
  using first = new Volume();
  using second = new Volume();
  first.write('a', 3_000_000);
  first.write('deep/er/b', 1);
  fs.symlinkSync('/proc/self/mem', path.join(first.root, 'link'));
  fs.symlinkSync('/', path.join(first.root, 'out'));
  assert.deepEqual(await verify(first, second), [
    { what: first.root, isClean: true, words: '2 files with 3000001 bytes were read to the end' },
    { what: second.root, isClean: true, words: '0 files with 0 bytes were read to the end' },
  ]);
});

test('what cannot be read is named, and the rest is read all the same', async () => {
  const gone = path.join(os.tmpdir(), 'readable-gone');
  const [verdict] = await readable.verify({ mountPoints: [gone], signal: new AbortController().signal });
  assert.deepEqual(verdict, {
    what: gone,
    isClean: false,
    words: `0 files with 0 bytes were read to the end; 1 cannot be read: ${gone}: ENOENT`,
  });
});

test('a file that its owner locks away is named', { skip: process.getuid?.() === 0 && unread }, async () => {
  using volume = new Volume();
  volume.write('a', 1);
  volume.write('b', 1);
  fs.chmodSync(path.join(volume.root, 'a'), 0);
  const [verdict] = await verify(volume);
  assert.equal(verdict?.isClean, false);
  assert.match(verdict?.words ?? '', /^1 files .*\/a: EACCES$/);
});

test('what there was no time for is not clean', async () => {
  using volume = new Volume();
  volume.write('a', 1);
  const [verdict] = await readable.verify({ mountPoints: [volume.root], signal: AbortSignal.abort() });
  assert.equal(verdict?.isClean, false);
  assert.match(verdict?.words ?? '', /no time for the rest/);
});
