import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import {
  chosenSettings,
  configurationFile,
  hbaFile,
  ownedSettings,
  postgresArguments,
  sharedBuffersMib,
  type SettingsContext,
} from './settings.ts';

const GIB = 2 ** 30;
const CONTEXT: SettingsContext = {
  major: 18,
  port: 5432,
  listenAddresses: ['127.0.0.1'],
  socketDirectory: '/run/x',
  dataDirectory: "/mnt/it's",
  configurationDirectory: '/etc/x',
  memoryBytes: 8 * GIB,
};

const refusal = (extra: Record<string, string>) => {
  try {
    postgresArguments(CONTEXT, extra);
  } catch (error) {
    return isCoded(error) ? error.code : error;
  }
  return undefined;
};

test('what safety stands on cannot be set otherwise, in any spelling', () => {
  assert.equal(refusal({ fsync: 'off' }), 'DATABASE_SETTING_OWNED');
  assert.equal(refusal({ Synchronous_Commit: 'off' }), 'DATABASE_SETTING_OWNED');
  assert.equal(refusal({ dynamic_shared_memory_type: 'posix' }), 'DATABASE_SETTING_OWNED');
  assert.equal(refusal({ fsync: 'on' }), undefined);
});

test('what is no setting is refused before PostgreSQL sees it', () => {
  assert.equal(refusal({ 'work_mem;x': '1' }), 'DATABASE_SETTING_INVALID');
  assert.equal(refusal({ work_mem: '1\nfsync=off' }), 'DATABASE_SETTING_INVALID');
});

test('ours stand after a person’s, because the last one counts', () => {
  const args = postgresArguments(CONTEXT, { work_mem: '64MB', FSYNC: 'on' });
  const last = ownedSettings(CONTEXT).map(({ name, value }) => `${name}=${value}`);
  assert.deepEqual(args.slice(0, 6), ['-D', CONTEXT.dataDirectory, '-c', 'work_mem=64MB', '-c', 'FSYNC=on']);
  assert.deepEqual(
    args.slice(6),
    last.flatMap((setting) => ['-c', setting]),
  );
});

test('nothing is both owned and chosen, and each has its reason', () => {
  const all = [...ownedSettings(CONTEXT), ...chosenSettings(CONTEXT)];
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
  for (const { reason } of all) assert.ok(reason.length > 10);
});

test('the file reads the data directory’s own first, so that ours win over initdb’s', () => {
  const lines = configurationFile(CONTEXT)
    .split('\n')
    .filter((line) => !line.startsWith('#'));
  assert.equal(lines[0], "include '/mnt/it''s/postgresql.conf'");
  assert.ok(lines.includes("full_page_writes = 'off'"));
  assert.ok(lines.includes("shared_buffers = '2048MB'"));
});

test('a setting that a version does not know is left out', () => {
  const names = (major: number) => chosenSettings({ ...CONTEXT, major }).map(({ name }) => name);
  assert.ok(names(15).includes('log_startup_progress_interval'));
  assert.ok(!names(14).includes('log_startup_progress_interval'));
});

test('shared_buffers: a quarter between bounds', () => {
  const sizes = [0.125, 0.5, 1, 16, 512].map((gib) => sharedBuffersMib(gib * GIB));
  assert.deepEqual(sizes, [32, 128, 256, 4096, 8192]);
});

test('only with a password, only from here and from the networks named', () => {
  assert.equal(
    hbaFile(['10.1.0.0/16']),
    'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n' +
      'host all all ::1/128 scram-sha-256\nhost all all 10.1.0.0/16 scram-sha-256\n',
  );
  assert.throws(() => hbaFile(['all']), { code: 'DATABASE_NAME_INVALID' });
  assert.throws(() => hbaFile(['10.0.0.0/8 trust\nhost all all 0.0.0.0/0']), {
    code: 'DATABASE_NAME_INVALID',
  });
});
