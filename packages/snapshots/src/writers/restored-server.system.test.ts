/** What a server that is started on a copy can reach, by scripts in the place of servers, which try. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { isCoded, systemClock } from '@rokka/kernel';
import type { PrivateServer } from './private-server.ts';
import { accountOfCopy, startRestoredServer } from './restored-server.ts';

const LIMITS = { skip: process.getuid?.() !== 0 && 'root is needed, to shut a server in', timeout: 300_000 };
const NOBODY = 65_534;
const signalled = () => AbortSignal.timeout(120_000);
const GONE_MS = 60_000;
const LOOK_AGAIN_MS = 20;

interface Place {
  readonly copy: string;
  readonly original: string;
  readonly elsewhere: string;
  start(script: string, signal?: AbortSignal, mountPoint?: string): Promise<PrivateServer>;
}

function place(t: TestContext): Place {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-shut-in-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  fs.chmodSync(base, 0o755);
  const [copy, original, elsewhere] = ['copy', 'original', 'elsewhere'].map((name) => {
    const directory = path.join(base, name);
    fs.mkdirSync(directory);
    fs.chownSync(directory, NOBODY, NOBODY);
    return directory;
  });
  const program = path.join(base, 'server');
  const start = async (script: string, signal = signalled(), mountPoint = copy) => {
    fs.writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return startRestoredServer({
      what: 'A script',
      program,
      account: await accountOfCopy(copy, 'A script'),
      volumes: { mountPoints: [mountPoint], originals: new Map([[mountPoint, original]]) },
      args: (own) => [own],
      ready: /it serves/,
      signal,
    });
  };
  return { copy, original, elsewhere, start };
}

/** Whether there is such a process, and not merely one that nobody has asked for yet how it ended. */
function lives(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Whoever is killed has closed its files a moment before it has ended. */
async function gone(...pids: number[]): Promise<void> {
  const untilMs = systemClock.nowMs() + GONE_MS;
  while (pids.some(lives)) {
    assert.ok(systemClock.nowMs() < untilMs, `of ${pids.join(', ')} some live`);
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
}

test('a server writes to the copies and its own directory alone, and sees no network', LIMITS, async (t) => {
  const { copy, original, elsewhere, start } = place(t);
  const script = [
    `for file in ${copy}/a ${original}/b ${elsewhere}/c "$1/d" /dev/shm/rokka-e; do`,
    `  (echo text >"$file") && echo "wrote $file"`,
    'done',
    'echo "account $(id -u) $(id -g) $(id -G)"',
    'echo "interfaces $(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " " | tr "\\n" " ")"',
    'echo "rights $(sed -n "s/^NoNewPrivs:.//p" /proc/self/status), memory $(cat /proc/self/oom_score_adj)"',
    'echo it serves; sleep 1000',
  ].join('\n');
  await using server = await start(script);
  const { log, directory } = server;
  assert.deepEqual(
    [...log.matchAll(/^wrote (.*)$/gm)].map((match) => match[1]),
    [`${copy}/a`, `${original}/b`, `${directory}/d`, '/dev/shm/rokka-e'],
  );
  // What is written where the original is mounted lands on the copy.
  assert.deepEqual(fs.readdirSync(copy).sort(), ['a', 'b']);
  for (const untouched of [original, elsewhere]) assert.deepEqual(fs.readdirSync(untouched), []);
  assert.ok(!fs.existsSync('/dev/shm/rokka-e'));
  assert.match(log, new RegExp(`account ${NOBODY} ${NOBODY} ${NOBODY}\n`));
  assert.match(log, /interfaces lo \nrights 1, memory 1000\n/);
  // Not so for anybody else.
  fs.writeFileSync(path.join(elsewhere, 'mine'), '');
});

test('a copy that is a mount of its own is written to, by whatever name', LIMITS, async (t) => {
  const { copy, elsewhere, start } = place(t);
  const mounted = [copy, elsewhere];
  for (const directory of mounted)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `uid=${NOBODY}`, 'tmpfs', directory]);
  try {
    const other = `${copy}-by-another-name`;
    fs.symlinkSync(copy, other);
    const tries = `for file in ${copy}/a ${elsewhere}/b; do (echo text >"$file") && echo "wrote $file"; done`;
    for (const mountPoint of [copy, other]) {
      await using server = await start(`${tries}; echo it serves; sleep 1000`, signalled(), mountPoint);
      const wrote = [...server.log.matchAll(/^wrote (.*)$/gm)].map((match) => match[1]);
      assert.deepEqual(wrote, [`${copy}/a`]);
    }
  } finally {
    execFileSync('umount', mounted);
  }
});

test('nothing of a server is left', LIMITS, async (t) => {
  const { start } = place(t);
  const server = await start('sleep 1000 & echo "pids $$ $!"; echo it serves; wait');
  const pids = /pids (\d+) (\d+)/.exec(server.log)?.slice(1).map(Number) ?? [];
  assert.deepEqual([pids.length, server.pid, pids.every(lives)], [2, pids[0], true]);
  await server[Symbol.asyncDispose]();
  await gone(...pids);
  assert.ok(!fs.existsSync(server.directory));
});

test('one that does not serve in time, nor wants to end, is killed', LIMITS, async (t) => {
  const { copy, start } = place(t);
  const file = path.join(copy, 'pid');
  const late = start(
    `trap '' TERM; echo $$ >${file}; while :; do sleep 1; done`,
    AbortSignal.timeout(10_000),
  );
  await assert.rejects(late, { name: 'TimeoutError' });
  await gone(Number(fs.readFileSync(file, 'utf8')));
});

test('why one ended is told, and which program is missing', LIMITS, async (t) => {
  const { copy, start } = place(t);
  await assert.rejects(
    start('echo no such page >&2; exit 3'),
    (error) => isCoded(error, 'SNAPSHOTS_RESTORED_BROKEN') && error.message.includes('no such page'),
  );
  const missing = startRestoredServer({
    what: 'A server',
    program: '/nowhere/serverd',
    account: await accountOfCopy(copy, 'A server'),
    volumes: { mountPoints: [copy] },
    args: () => [],
    ready: /it serves/,
    signal: signalled(),
  });
  await assert.rejects(
    missing,
    (error) => isCoded(error, 'SNAPSHOTS_PROGRAM_MISSING') && error.message.includes('install it'),
  );
});
