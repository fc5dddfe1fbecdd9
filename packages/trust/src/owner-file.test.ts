import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, test, type TestContext } from 'node:test';
import { readOwnerFile, writeOwnerFile } from './owner-file.ts';

let directory = '';
beforeEach(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-owner-file-'))));
afterEach(() => fs.rmSync(directory, { recursive: true }));

/** Runs `instead` wherever a file is synced. */
function onSync(t: TestContext, instead: (fd: number) => void): void {
  const mocked = t.mock.method(fs, 'fsyncSync', instead);
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}

test('who writes the same file meanwhile is not disturbed, and disturbs nobody', (t) => {
  const file = path.join(directory, 'head.pem');
  const sync = fs.fsyncSync;
  let isFirst = true;
  // Another process writes all of it while this one waits for its disk.
  onSync(t, (fd) => {
    if (isFirst) {
      isFirst = false;
      writeOwnerFile(file, 'of another process');
      assert.equal(readOwnerFile(file), 'of another process');
    }
    sync(fd);
  });
  writeOwnerFile(file, 'of this one');
  assert.equal(isFirst, false);
  assert.equal(readOwnerFile(file), 'of this one');
  assert.deepEqual(fs.readdirSync(directory), ['head.pem'], 'nothing is left beside it');
});

test('a write that fails leaves nothing beside what is there', (t) => {
  const file = path.join(directory, 'head.pem');
  writeOwnerFile(file, 'first');
  assert.throws(() => writeOwnerFile(file, 'second', { mustBeNew: true }), { code: 'TRUST_FILE_EXISTS' });
  assert.deepEqual(fs.readdirSync(directory), ['head.pem']);
  onSync(t, () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  });
  assert.throws(() => writeOwnerFile(file, 'third'), { code: 'TRUST_FILE_FAILED' });
  assert.deepEqual(fs.readdirSync(directory), ['head.pem']);
  assert.equal(readOwnerFile(file), 'first');
});
