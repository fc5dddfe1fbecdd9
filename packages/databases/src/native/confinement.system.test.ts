/** The chain of deaths, link by link, and that nothing starts where it is not closed. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { deadline, Deferred } from '@rokka/kernel';
import { findAccount, type Account } from './account.ts';
import { confinedCommand, spawnConfined, type Confined } from './confinement.ts';
import { mountPrivilege, namespaceCommand } from './namespace.ts';
import { TestDirectory, vanishedPid } from './testing/stand-in.ts';

const SKIP = process.platform === 'linux' && mountPrivilege() === 'root' ? false : 'root on Linux is needed';
const LIMITS = { skip: SKIP, timeout: 180_000 };
/** A descendant that has left its parent's process group and ignores what can be ignored. */
const FAMILY = "trap '' INT TERM HUP; setsid sleep 300 & echo family; wait";

async function startFamily(account: Account | undefined): Promise<Confined> {
  const started = new Deferred<void>();
  const confined = await spawnConfined({
    program: { command: 'sh', args: ['-c', FAMILY] },
    account,
    environment: {},
    onOutput: () => started.resolve(),
  });
  await deadline(started.promise, { what: 'the family', ms: 60_000 });
  return confined;
}

/** Everybody in the process namespace of `pid`. */
function relatives(pid: number): number[] {
  const namespace = fs.readlinkSync(`/proc/${pid}/ns/pid`);
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return fs.readlinkSync(`/proc/${name}/ns/pid`) === namespace;
      } catch {
        return false;
      }
    })
    .map(Number);
}

test('kill -9 of the program takes its descendants with it', LIMITS, async () => {
  const confined = await startFamily(findAccount());
  const family = relatives(confined.pid);
  assert.ok(family.length >= 2, `${family.length} processes`);
  assert.ok(!family.includes(process.pid));
  assert.equal(confined.kill('SIGKILL'), true);
  assert.deepEqual(await confined.exited, { status: undefined, signal: 'SIGKILL' });
  for (const pid of family) assert.ok(!fs.existsSync(`/proc/${pid}`), `${pid} is left`);
  assert.equal(confined.kill('SIGKILL'), false);
});

test('the program dies with its parent although its account was changed', LIMITS, async () => {
  for (const account of [findAccount(), undefined]) {
    const confined = await startFamily(account);
    const family = relatives(confined.pid);
    const status = fs.readFileSync(`/proc/${confined.pid}/status`, 'latin1');
    assert.equal(/^Uid:\t(\d+)/m.exec(status)?.[1], String(account?.uid ?? 0));
    process.kill(Number(/^PPid:\t(\d+)/m.exec(status)?.[1]), 'SIGKILL');
    await confined.exited;
    for (const pid of family) await vanishedPid(pid);
  }
});

test('without a word from the head nothing is started', LIMITS, async () => {
  using directory = new TestDirectory();
  const file = `${directory.path}/started`;
  const { command, args } = confinedCommand({ command: 'touch', args: [file] }, undefined);
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Deferred<number | null>();
  child.once('close', (status) => ended.resolve(status));
  child.stdin.end();
  assert.notEqual(await deadline(ended.promise, { what: 'the shell', ms: 60_000 }), 0);
  assert.ok(!fs.existsSync(file));
});

test('the environment of the head stays with it', LIMITS, async () => {
  const names: string[] = [];
  const confined = await spawnConfined({
    program: { command: 'env', args: [] },
    account: findAccount(),
    environment: { OWN: 'x' },
    onOutput: (line) => names.push(line.split('=')[0] ?? ''),
  });
  assert.deepEqual(await confined.exited, { status: 0, signal: undefined });
  assert.deepEqual(names.filter((name) => !['PWD', '_', 'SHLVL'].includes(name)).sort(), [
    'LC_ALL',
    'OWN',
    'PATH',
    'TZ',
  ]);
});

test('a head is killed with its supervisor', LIMITS, async () => {
  const { command, args } = namespaceCommand({ command: 'sleep', args: ['300'] });
  const supervisor = spawn('sh', ['-c', '"$@" & echo $!; wait', 'sh', command, ...args]);
  const head = new Deferred<number>();
  supervisor.stdout.on('data', (text: Buffer) => head.resolve(Number(String(text))));
  const pid = await deadline(head.promise, { what: 'the head', ms: 60_000 });
  // Only when it has become sleep(1) is it past the step that this is about.
  while (fs.readFileSync(`/proc/${pid}/comm`, 'utf8') !== 'sleep\n') assert.ok(fs.existsSync(`/proc/${pid}`));
  supervisor.kill('SIGKILL');
  await vanishedPid(pid);
});

test('what is unmounted outside is not held in the namespace of a head', LIMITS, async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-namespace-'));
  const { command, args } = namespaceCommand({ command: 'sleep', args: ['300'] });
  const script = `
    mount -t tmpfs outside "$0"; "$@" & head=$!
    until [ "$(cat /proc/$head/comm)" = sleep ]; do sleep 0.01; done
    grep -c "$0" /proc/$head/mounts; umount "$0"; grep -c "$0" /proc/$head/mounts; kill $head`;
  // Where a machine's own mounts spread, as they do under systemd.
  const outside = [
    '--mount',
    '--propagation',
    'shared',
    '--',
    'sh',
    '-c',
    script,
    directory,
    command,
    ...args,
  ];
  try {
    const { stdout } = await promisify(execFile)('unshare', outside, { timeout: 60_000 });
    assert.deepEqual(stdout.trim().split('\n'), ['1', '0']);
  } finally {
    fs.rmdirSync(directory);
  }
});
