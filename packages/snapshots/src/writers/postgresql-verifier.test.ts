/** What is told of data directories that cannot be started, each by itself. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { postgresqlVerifier } from './postgresql-verifier.ts';

const NOBODY = 65_534;
const skip = process.getuid?.() !== 0 && 'root is needed, to give files away';

test(
  'each data directory is told of, and its links are led to the copies',
  { skip, timeout: 10_000 },
  async (t) => {
    const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-verifier-'));
    t.after(() => fs.rmSync(base, { recursive: true, force: true }));
    const [copy, original] = ['copy', 'original'].map((name) => path.join(base, name));
    fs.mkdirSync(path.join(copy, 'wal'), { recursive: true });
    for (const name of ['roots', 'nobodys']) {
      const data = path.join(copy, name);
      fs.mkdirSync(path.join(data, 'global'), { recursive: true });
      fs.writeFileSync(path.join(data, 'PG_VERSION'), '99\n');
      fs.writeFileSync(path.join(data, 'global/pg_control'), '');
      fs.symlinkSync(path.join(original, 'wal'), path.join(data, 'pg_wal'));
    }
    fs.chownSync(path.join(copy, 'nobodys'), NOBODY, NOBODY);
    const originals = new Map([[copy, original]]);
    const signal = AbortSignal.timeout(60_000);
    const verdicts = await postgresqlVerifier.verify({ mountPoints: [copy], originals, signal });
    const told = Object.fromEntries(verdicts.map(({ what, words }) => [path.basename(what), words]));
    assert.match(told['roots'] ?? '', /belongs to root/);
    assert.match(told['nobodys'] ?? '', /\/usr\/lib\/postgresql\/99\/bin\/postgres is not on this machine/);
    assert.ok(verdicts.every(({ isClean }) => !isClean));
    for (const name of ['roots', 'nobodys'])
      assert.equal(fs.readlinkSync(path.join(copy, name, 'pg_wal')), path.join(copy, 'wal'));
  },
);
