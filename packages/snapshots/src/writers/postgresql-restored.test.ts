/** Restored data directories that must not be started. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { tryRestoredPostgres } from './postgresql-restored.ts';

const signal = AbortSignal.timeout(10_000);

for (const where of ['original', 'nowhere'])
  test(`a restored copy whose link leads to ${where} is not started`, async (t) => {
    const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-restored-'));
    t.after(() => fs.rmSync(base, { recursive: true, force: true }));
    const data = path.join(base, 'restored/data');
    for (const directory of ['global', 'pg_tblspc'])
      fs.mkdirSync(path.join(data, directory), { recursive: true });
    fs.mkdirSync(path.join(base, 'original'));
    fs.writeFileSync(path.join(data, 'PG_VERSION'), '18\n');
    fs.writeFileSync(path.join(data, 'global/pg_control'), '');
    fs.symlinkSync(path.join(base, where), path.join(data, 'pg_wal'));
    const programs = () => assert.fail('nothing is started');
    await assert.rejects(
      tryRestoredPostgres({ mountPoints: [path.join(base, 'restored')], signal, programs }),
      (error) => {
        assert.ok(isCoded(error, 'SNAPSHOTS_RESTORED_BROKEN'));
        assert.ok(error.message.includes(path.join(base, where)));
        return true;
      },
    );
  });
