/** Restored data directories that must not be started. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { tryRestoredPostgres } from './postgresql-restored.ts';
import { safeSettings } from './postgresql-safe-settings.ts';

const signalled = () => AbortSignal.timeout(60_000);
const OPTIONS = { timeout: 10_000 };
const ASROOT = { ...OPTIONS, skip: process.getuid?.() !== 0 && 'root is needed, to give files away' };
const NOBODY = 65_534;
const programs = () => assert.fail('nothing is started');

for (const where of ['original', 'nowhere'])
  test(`a restored copy whose link leads to ${where} is not started`, async (t) => {
    const base = temporary(t);
    const data = dataDirectory(base);
    fs.mkdirSync(path.join(base, 'original'));
    fs.symlinkSync(path.join(base, where), path.join(data, 'pg_wal'));
    await assert.rejects(
      tryRestoredPostgres({ mountPoints: [path.join(base, 'restored')], signal: signalled(), programs }),
      (error) => {
        assert.ok(isCoded(error, 'SNAPSHOTS_RESTORED_BROKEN'));
        assert.ok(error.message.includes(path.join(base, where)));
        return true;
      },
    );
  });

test('what is no version is not made part of the path of a program', OPTIONS, async (t) => {
  const base = temporary(t);
  fs.writeFileSync(path.join(dataDirectory(base), 'PG_VERSION'), '../../../home/somebody\n');
  const mountPoints = [path.join(base, 'restored')];
  await assert.rejects(tryRestoredPostgres({ mountPoints, signal: signalled(), programs }), (error) =>
    isCoded(error, 'SNAPSHOTS_RESTORED_BROKEN'),
  );
});

for (const [uid, code] of [
  [0, 'SNAPSHOTS_COPY_OF_ROOT'],
  [987_654, 'SNAPSHOTS_RESTORED_BROKEN'],
] as const)
  test(`nothing is started as the account ${uid}`, ASROOT, async (t) => {
    const base = temporary(t);
    fs.chownSync(dataDirectory(base), uid, uid);
    const mountPoints = [path.join(base, 'restored')];
    await assert.rejects(tryRestoredPostgres({ mountPoints, signal: signalled(), programs }), (error) =>
      isCoded(error, code),
    );
  });

test("a copy's server has its owner's own group, and nothing of the copy's settings", ASROOT, async (t) => {
  const base = temporary(t);
  fs.chmodSync(base, 0o755);
  const data = dataDirectory(base);
  fs.chownSync(data, NOBODY, 0);
  const precious = path.join(base, 'restored/precious');
  fs.writeFileSync(precious, 'text');
  fs.symlinkSync(precious, path.join(data, 'postgresql.auto.conf'));
  for (const name of ['standby.signal', 'recovery.signal', 'recovery.conf'])
    fs.writeFileSync(path.join(data, name), '');
  const program = path.join(base, 'postgres');
  fs.writeFileSync(program, '#!/bin/sh\necho "FATAL: $(id -u) $(id -g) $(id -G) $*" >&2\n', { mode: 0o755 });
  const mountPoints = [path.join(base, 'restored')];
  await assert.rejects(
    tryRestoredPostgres({ mountPoints, signal: signalled(), programs: () => ({ directory: base }) }),
    (error) => {
      assert.ok(isCoded(error, 'SNAPSHOTS_RESTORED_BROKEN'));
      assert.match(error.message, new RegExp(`FATAL: ${NOBODY} ${NOBODY} ${NOBODY} `));
      for (const setting of ['archive_command=', 'shared_preload_libraries=', 'primary_conninfo='])
        assert.ok(`${error.message} `.includes(`-c ${setting} `), setting);
      return true;
    },
  );
  assert.equal(fs.readFileSync(precious, 'utf8'), 'text');
  const settings = fs.lstatSync(path.join(data, 'postgresql.auto.conf'));
  assert.deepEqual([settings.isFile(), settings.size, settings.uid], [true, 0, NOBODY]);
  assert.deepEqual(
    fs.readdirSync(data).filter((name) => /recovery|standby/.test(name)),
    [],
  );
});

test('a setting is given only to a server that knows it', OPTIONS, () => {
  const names = (version: string) =>
    safeSettings({ version, base: '/base' }).map((setting) => setting.split('=')[0]);
  assert.ok(!names('9.6').includes('restore_command'));
  assert.ok(!names('14').includes('archive_library'));
  assert.ok(names('15').includes('archive_library'));
});

function temporary(t: TestContext): string {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-restored-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  return base;
}

/** As much of one as is looked at before it is started. */
function dataDirectory(base: string): string {
  const data = path.join(base, 'restored/data');
  for (const directory of ['global', 'pg_tblspc'])
    fs.mkdirSync(path.join(data, directory), { recursive: true });
  fs.writeFileSync(path.join(data, 'PG_VERSION'), '18\n');
  fs.writeFileSync(path.join(data, 'global/pg_control'), '');
  return data;
}
