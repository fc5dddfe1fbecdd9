/** Which links of a copy a verifier changes. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { postgresqlVerifier } from './postgresql-verifier.ts';

const OPTIONS = { timeout: 10_000 };
const signal = () => AbortSignal.timeout(5_000);

test('links of a copy are led to the copies of what they show, and to nothing else', OPTIONS, async (t) => {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-verifier-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  const [copy, original, elsewhere] = ['copy', 'original', 'elsewhere'].map((name) => path.join(base, name));
  const data = path.join(copy, 'data');
  for (const directory of [data, path.join(copy, 'wal'), elsewhere, path.join(copy, 'other/pg_tblspc')])
    fs.mkdirSync(directory, { recursive: true });
  const outside = path.join(elsewhere, '16384');
  fs.symlinkSync(path.join(original, 'space'), outside);
  // Without global/pg_control nothing is started.
  for (const directory of ['data', 'other'])
    fs.writeFileSync(path.join(copy, directory, 'PG_VERSION'), '18\n');
  fs.symlinkSync(elsewhere, path.join(data, 'pg_tblspc'));
  fs.symlinkSync(path.join(original, 'wal'), path.join(data, 'pg_wal'));
  const climbing = path.join(copy, 'other/pg_tblspc/1');
  fs.symlinkSync(`${original}/../elsewhere`, climbing);

  const originals = new Map([[copy, original]]);
  await postgresqlVerifier.verify({ mountPoints: [copy], originals, signal: signal() });
  assert.equal(fs.readlinkSync(path.join(data, 'pg_wal')), path.join(copy, 'wal'));
  assert.equal(fs.readlinkSync(outside), path.join(original, 'space'), 'what is elsewhere stays');
  assert.equal(fs.readlinkSync(climbing), `${original}/../elsewhere`);
});
