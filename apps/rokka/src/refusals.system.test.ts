/** What the command refuses: wrong arguments, and data directories that it cannot use. One coded line each, no stack. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { RokkaCommand } from './testing/rokka-command.ts';
import { TestPlace } from './testing/test-place.ts';

const timeout = 300_000;
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
const isRoot = process.getuid?.() === 0;

/** Runs the command and expects it to refuse. */
async function refused(
  args: readonly string[],
  expected: { status: number; code: string; prefix?: readonly string[] },
): Promise<string> {
  const end = await RokkaCommand.run(args, expected.prefix ? { prefix: expected.prefix } : {});
  assert.match(end.err, new RegExp(`^rokka: ${expected.code}: [^\\n]+\\n$`));
  assert.equal(end.status, expected.status);
  return end.err;
}

describe('arguments', () => {
  const wrong: Record<string, [string[], string]> = {
    'an unknown command': [['upp'], 'ROKKA_UNKNOWN_COMMAND'],
    'the name of what every object has': [['constructor'], 'ROKKA_UNKNOWN_COMMAND'],
    'two commands': [['up', 'down'], 'ROKKA_BAD_FLAG'],
    'an unknown flag': [['up', '--fast'], 'ROKKA_BAD_FLAG'],
    'a flag without its value': [['up', '--port'], 'ROKKA_BAD_FLAG'],
    'a value for a flag that has none': [['status', '--json=yes'], 'ROKKA_BAD_FLAG'],
    'no number': [['up', '--port', 'http'], 'ROKKA_BAD_VALUE'],
    'a port too high': [['up', '--port', '65536'], 'ROKKA_BAD_VALUE'],
    'a port of 0': [['up', '--port', '0'], 'ROKKA_BAD_VALUE'],
    'a small cache': [['up', '--cache', '1'], 'ROKKA_BAD_VALUE'],
    'an unknown engine': [['up', '--engine', 'oracle'], 'ROKKA_BAD_VALUE'],
    'a setting without a name': [['up', '--set', '=1'], 'ROKKA_BAD_VALUE'],
    'an empty path': [['up', '--data', ''], 'ROKKA_BAD_VALUE'],
    'an archive that is no bucket': [['up', '--archive', '/backups'], 'ROKKA_BAD_VALUE'],
    'an endpoint of no archive': [['up', '--archive-endpoint', 'http://minio:9000'], 'ROKKA_BAD_FLAG'],
    'an archive that a standby chooses': [['up', '--archive', 's3://snow', '--standby'], 'ROKKA_BAD_FLAG'],
  };
  for (const [name, [args, code]] of Object.entries(wrong)) {
    test(`${name}: status 2`, { timeout }, async () => void (await refused(args, { status: 2, code })));
  }

  test('node --join TOKEN is join TOKEN', { timeout }, async () => {
    await using place = await TestPlace.make();
    const at = ['--data', place.data, '--listen', '127.0.0.1:7600'];
    const expected = { status: 1, code: 'TRUST_TOKEN_UNREADABLE' };
    const said = await refused(['join', 'nonsense', ...at], expected);
    assert.equal(await refused(['node', '--join', 'nonsense', ...at], expected), said);
    await refused(['node', 'list', '--join', 'nonsense', ...at], { status: 2, code: 'ROKKA_BAD_FLAG' });
  });

  test('help is no mistake', { timeout }, async () => {
    for (const args of [[], ['help'], ['up', '--help'], ['-h']]) {
      const end = await RokkaCommand.run(args);
      assert.equal(end.status, 0);
      assert.match(end.out, /rokka up .*Ctrl-C/);
    }
  });
});

describe('data directories', () => {
  test('nothing there: status and stop say so, and make nothing', { timeout }, async () => {
    await using place = await TestPlace.make();
    for (const command of ['status', 'stop']) {
      await refused([command, '--data', place.data], { status: 1, code: 'ROKKA_NOT_RUNNING' });
    }
    assert.ok(!fs.existsSync(place.data));
  });

  /** Name, what to put into the directory, the code. */
  const spoilt: [string, (directory: string) => void, string][] = [
    ['files of somebody else', (at) => fs.writeFileSync(`${at}/letter.txt`, 'dear'), 'ROKKA_DATA_FOREIGN'],
    [
      'secrets of somebody else',
      (at) => {
        fs.mkdirSync(`${at}/secrets`);
        fs.writeFileSync(`${at}/secrets/diary.txt`, 'dear');
      },
      'ROKKA_DATA_FOREIGN',
    ],
    [
      'an identity that is no JSON',
      (at) => fs.writeFileSync(`${at}/rokka.json`, '{"fo'),
      'ROKKA_DATA_CORRUPT',
    ],
    ['an identity that is null', (at) => fs.writeFileSync(`${at}/rokka.json`, 'null'), 'ROKKA_DATA_CORRUPT'],
    ['an identity that is a directory', (at) => fs.mkdirSync(`${at}/rokka.json`), 'ROKKA_DATA_PERMISSION'],
    [
      'an identity without a cluster',
      (at) => fs.writeFileSync(`${at}/rokka.json`, '{"format":1}'),
      'ROKKA_DATA_CORRUPT',
    ],
    [
      'a later format',
      (at) => fs.writeFileSync(`${at}/rokka.json`, '{"format":3,"cluster":"c"}'),
      'ROKKA_DATA_VERSION',
    ],
    [
      'a lock that is no database',
      (at) => fs.writeFileSync(`${at}/lock.sqlite`, 'x'.repeat(5000)),
      'ROKKA_DATA_CORRUPT',
    ],
    [
      'a registry that is no database',
      (at) => {
        fs.writeFileSync(`${at}/rokka.json`, '{"format":1,"cluster":"c"}');
        fs.writeFileSync(`${at}/registry.sqlite`, 'x'.repeat(5000));
      },
      'REGISTRY_CORRUPT',
    ],
  ];
  for (const [name, spoil, code] of spoilt) {
    test(`${name}: refused`, { timeout }, async () => {
      await using place = await TestPlace.make();
      fs.mkdirSync(place.data);
      spoil(place.data);
      const before = fs.readdirSync(place.data);
      const line = await refused(['up', '--data', place.data], { status: 1, code });
      assert.ok(line.includes(place.data), line);
      if (code === 'ROKKA_DATA_FOREIGN') assert.deepEqual(fs.readdirSync(place.data), before);
    });
  }

  test('a file in its place, or a path too long: refused', { timeout }, async () => {
    await using place = await TestPlace.make();
    fs.writeFileSync(place.data, 'a file');
    const code = 'ROKKA_DATA_PERMISSION';
    await refused(['up', '--data', place.data], { status: 1, code });
    await refused(['up', '--data', path.join(place.data, 'below')], { status: 1, code });
    await refused(['up', '--data', path.join(place.path, 'x'.repeat(300))], { status: 1, code });
  });

  test(
    'one that its user may not write: refused',
    { timeout, skip: !isRoot && 'root is needed' },
    async (t) => {
      const probe = await RokkaCommand.run(['help'], { prefix: NOBODY });
      if (probe.status !== 0) return t.skip('an ordinary user cannot read this checkout');
      await using place = await TestPlace.make();
      fs.chmodSync(place.path, 0o755);
      const expected = { status: 1, code: 'ROKKA_DATA_PERMISSION', prefix: NOBODY };
      await refused(['up', '--data', place.data], expected);
      fs.mkdirSync(place.data);
      await refused(['up', '--data', place.data], expected);
    },
  );
});
