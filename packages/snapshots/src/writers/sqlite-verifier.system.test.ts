/** What is told of copies of databases: whole ones, one in the middle of something, and a damaged one. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sqliteVerifier } from './sqlite-verifier.ts';

const PAGE_BYTES = 4_096;

test('a database is clean where it is whole and had nothing to recover', { timeout: 300_000 }, async (t) => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'sqlite-verifier-'));
  t.after(() => fs.rmSync(root, { recursive: true }));
  const [original, copy] = ['original', 'copy'].map((name) => path.join(root, name));
  fs.mkdirSync(original);
  const [clean, logged, damaged] = ['clean.db', 'logged.db', 'damaged.db'].map((name) => {
    const database = new DatabaseSync(path.join(original, name));
    database.exec('BEGIN; CREATE TABLE t (text); CREATE INDEX i ON t (text)');
    const insert = database.prepare('INSERT INTO t VALUES (?)');
    for (let row = 0; row < 500; row++) insert.run(`row ${row}`);
    database.exec('COMMIT');
    return database;
  });
  clean.close();
  damaged.close();
  logged.exec('PRAGMA journal_mode=wal; INSERT INTO t VALUES (1)');
  fs.cpSync(original, copy, { recursive: true });
  logged.close();
  const handle = fs.openSync(path.join(copy, 'damaged.db'), 'r+');
  fs.writeSync(handle, Buffer.alloc(PAGE_BYTES, 7), 0, PAGE_BYTES, 2 * PAGE_BYTES);
  fs.closeSync(handle);

  const verdicts = await sqliteVerifier.verify({ mountPoints: [copy], signal: AbortSignal.timeout(120_000) });
  const told = Object.fromEntries(
    verdicts.map(({ what, isClean, words }) => [path.relative(copy, what), { isClean, words }]),
  );
  assert.deepEqual(told['clean.db'], { isClean: true, words: 'whole, with nothing to recover' });
  assert.equal(told['logged.db']?.isClean, false);
  assert.match(told['logged.db'].words, /^a log of \d+ bytes was read$/);
  assert.equal(told['damaged.db']?.isClean, false);
  assert.match(told['damaged.db'].words, /it is damaged/);
});
