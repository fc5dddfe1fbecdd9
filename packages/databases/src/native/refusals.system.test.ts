/** What a person gets wrong, or a machine lacks: one coded line each, with the way out. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { findPostgres } from './binaries.ts';
import { mountPrivilege, namespaceCommand, type MountPrivilege } from './namespace.ts';
import { probeNativeSupport, type NativeSupport } from './probe.ts';
import { runCommand } from './command.ts';
import type { StandInOptions } from './testing/head-stand-in.ts';
import { StandIn, TestDirectory } from './testing/stand-in.ts';

const ROOT = process.platform === 'linux' && mountPrivilege() === 'root';
const LIMITS = { skip: !ROOT && 'root on Linux is needed', timeout: 600_000 };

async function refusal(options: StandInOptions): Promise<{ code: string; message: string }> {
  await using head = StandIn.start(options);
  const { code = '', message } = await head.next('failed');
  await head.ended();
  assert.ok(!message.includes('\n'), message);
  return { code, message };
}

test('settings that PostgreSQL does not know or take', LIMITS, async () => {
  using directory = new TestDirectory();
  const options = await directory.options();
  const ask = async (settings: Record<string, string>) => refusal({ ...options, settings });
  const unknown = await ask({ no_such_setting: '1' });
  assert.equal(unknown.code, 'DATABASE_SETTING_INVALID');
  assert.match(unknown.message, /no_such_setting/);
  assert.equal((await ask({ max_connections: 'many' })).code, 'DATABASE_SETTING_INVALID');
  assert.equal((await ask({ shared_buffers: '1' })).code, 'DATABASE_SETTING_INVALID');
  const owned = await ask({ fsync: 'off' });
  assert.equal(owned.code, 'DATABASE_SETTING_OWNED');
  assert.match(owned.message, /fsync stays on: /);
});

test('more memory than there is', LIMITS, async () => {
  using directory = new TestDirectory();
  const options = { ...(await directory.options()), settings: { shared_buffers: '4000GB' } };
  assert.equal((await refusal(options)).code, 'DATABASE_OUT_OF_MEMORY');
});

test('a port that somebody has, who is named', LIMITS, async () => {
  using directory = new TestDirectory();
  const options = await directory.options();
  const server = net.createServer().listen(options.port, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  try {
    const { code, message } = await refusal(options);
    assert.equal(code, 'DATABASE_PORT_USED');
    assert.match(message, new RegExp(`127.0.0.1:${options.port} is in use by .* \\(pid ${process.pid}\\)`));
  } finally {
    await new Promise((done) => server.close(done));
  }
});

test('a directory whose socket would have too long a path', LIMITS, async () => {
  using directory = new TestDirectory();
  const options = await directory.options();
  const runDirectory = path.join(directory.path, 'x'.repeat(100));
  assert.equal((await refusal({ ...options, runDirectory })).code, 'DATABASE_SOCKET_PATH_LONG');
});

test('programs that are missing, broken, for another machine', LIMITS, async () => {
  using directory = new TestDirectory();
  const codeOf = async () =>
    findPostgres({ directory: directory.path }).then(
      () => 'found',
      (error: unknown) => (isCoded(error) ? error.code : String(error)),
    );
  assert.equal(await codeOf(), 'DATABASE_BINARIES_MISSING');
  const program = path.join(directory.path, 'postgres');
  const put = (text: string | Buffer, mode: number) => {
    fs.rmSync(program, { force: true });
    fs.writeFileSync(program, text, { mode });
  };
  put('', 0o644);
  assert.equal(await codeOf(), 'DATABASE_BINARIES_UNUSABLE');
  // An ELF header of a machine that there never was.
  const foreign = Buffer.from(fs.readFileSync('/bin/true').subarray(0, 4096));
  foreign.writeUInt16LE(0x7777, 18);
  put(foreign, 0o755);
  assert.equal(await codeOf(), 'DATABASE_BINARIES_UNUSABLE');
  put('#!/bin/sh\necho "postgres (PostgreSQL) 13.20"\n', 0o755);
  assert.equal(await codeOf(), 'DATABASE_BINARIES_MISSING', 'initdb is needed as well');
  fs.copyFileSync(program, path.join(directory.path, 'initdb'));
  assert.equal(await codeOf(), 'DATABASE_BINARIES_TOO_OLD');
});

test('the npm package without its links, as where install scripts are off', LIMITS, async () => {
  using directory = new TestDirectory();
  const { root = '' } = await findPostgres();
  const copy = path.join(directory.path, 'native');
  fs.cpSync(root, copy, { recursive: true, filter: (file) => !fs.lstatSync(file).isSymbolicLink() });
  const postgres = path.join(copy, 'bin');
  const found = await findPostgres({ directory: postgres });
  assert.ok(found.missingLinks.length > 0);
  await using head = StandIn.start({ ...(await directory.options()), postgres });
  await head.next('ready');
});

test('the probe tries what a head would do', LIMITS, async () => {
  const fuse = fs.existsSync('/dev/fuse');
  const support = await probeNativeSupport();
  if (fuse) assert.deepEqual(support, { possible: true });
  else assert.equal(support.possible || support.reasons[0]?.code, 'DATABASE_FUSE_MISSING');
  const elsewhere = await probeNativeSupport({ platform: 'darwin' });
  assert.equal(elsewhere.possible || elsewhere.reasons[0]?.code, 'DATABASE_NOT_LINUX');
});

test('the probe says what stands in the way', LIMITS, async () => {
  const file = path.join(import.meta.dirname, 'probe.ts');
  const program = `import(${JSON.stringify(file)}).then(async ({ probeNativeSupport }) =>
    console.log(JSON.stringify(await probeNativeSupport())))`;
  const ask = async (prepare: string, privilege: MountPrivilege) => {
    const args = ['-c', `${prepare}; exec "$@"`, 'sh', process.execPath, '--eval', program];
    const inner = namespaceCommand({ command: 'sh', args }, { privilege });
    const { stdout, words } = await runCommand(inner, { timeoutMs: 120_000 });
    assert.notEqual(stdout, '', words);
    return JSON.parse(stdout) as NativeSupport;
  };
  const hidden = await ask('mount -t tmpfs none /dev', 'root');
  assert.equal(hidden.possible || hidden.reasons[0]?.code, 'DATABASE_FUSE_MISSING');
  // The limit of this user namespace, not of the machine; and no way to do without another one.
  const limit = 'echo 0 >/proc/sys/user/max_user_namespaces';
  const denied = await ask(`${limit}; set -- setpriv --bounding-set=-sys_admin -- "$@"`, 'user');
  assert.equal(denied.possible || denied.reasons[0]?.code, 'DATABASE_NAMESPACE_DENIED');
});
