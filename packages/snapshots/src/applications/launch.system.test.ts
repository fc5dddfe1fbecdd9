/** What a program that is started again has: the account, environment and outputs that it had, and no more. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { must, systemClock } from '@rokka/kernel';
import { keptPipes, launch, type KeptPipes } from './launch.ts';

const LIMITS = {
  skip: process.getuid?.() === 0 ? false : 'root is needed, to start as somebody else',
  timeout: 300_000,
};
const NOBODY = 65_534;
const NONE: KeptPipes = [undefined, undefined];
const SCRIPT =
  'id -u; id -G; umask; pwd; echo "$MARK $LD_PRELOAD"; ulimit -n; grep -c "^Max processes *60000 *61000" /proc/self/limits; cat; echo wrong >&2';

async function eventually(look: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(120_000);
  while (!look()) await systemClock.sleep(20, signal);
}

const read = (file: string) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');

test('a program is started with what it had, and what it says goes where it went', LIMITS, async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-launch-'));
  try {
    fs.chmodSync(directory, 0o755);
    const [out, log] = [path.join(directory, 'out'), path.join(directory, 'log')];
    fs.writeFileSync(out, 'before\n');
    fs.chownSync(out, NOBODY, NOBODY);
    const how = {
      exe: '/bin/sh',
      argv: ['sh', '-c', SCRIPT],
      env: { MARK: 'here', LD_PRELOAD: path.join(directory, 'not-there.so') },
      cwd: directory,
      uid: NOBODY,
      gid: NOBODY,
      groups: [NOBODY, 7],
      umask: 0o027,
      limits: ['--nofile=700:800', '--nproc=60000:61000'],
      oomScoreAdj: '0',
      cgroup: '',
      outputs: [out, 'socket:[1]'],
      input: 'read\n',
    } as const;
    await launch(how, { what: 'sh', logFile: log, pipes: NONE }, AbortSignal.timeout(120_000));
    await eventually(() => /wrong/.test(read(log)) && /read/.test(read(out)));
    const said = ['65534', '65534 7', '0027', directory, `here ${how.env.LD_PRELOAD}`, '700', '1', 'read'];
    assert.deepEqual(read(out).trim().split('\n'), ['before', ...said]);
    await assert.rejects(
      launch(
        { ...how, exe: '/not/there' },
        { what: 'x', logFile: log, pipes: NONE },
        AbortSignal.timeout(120_000),
      ),
      /x does not run: .*ENOENT/,
    );
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test('a pipe is kept for the next one while somebody reads it', LIMITS, async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-launch-'));
  const out = path.join(directory, 'out');
  // The first writer ends when it is told so; whoever reads goes on until nobody has the pipe.
  const shell = `(echo $BASHPID >${directory}/pid; exec sleep 200) | cat >${out}`;
  const reader = execFileSync('bash', ['-c', `( ${shell} ) >/dev/null 2>&1 & echo $!`], { encoding: 'utf8' });
  try {
    await eventually(() => read(`${directory}/pid`) !== '');
    const pid = Number(read(`${directory}/pid`));
    const pipes = await keptPipes({ pid, outputs: [fs.readlinkSync(`/proc/${pid}/fd/1`), '/dev/null'] });
    process.kill(pid);
    const how = {
      exe: '/bin/sh',
      argv: ['sh', '-c', 'echo again'],
      env: {},
      cwd: '/',
      uid: NOBODY,
      gid: NOBODY,
      groups: [],
      umask: 0o022,
      limits: [],
      oomScoreAdj: '0',
      cgroup: '',
      outputs: ['pipe:[1]', '/dev/null'],
    } as const;
    const logFile = path.join(directory, 'log');
    await launch(how, { what: 'sh', logFile, pipes }, AbortSignal.timeout(120_000));
    await eventually(() => read(out) === 'again\n');
    for (const pipe of pipes) await pipe?.close();
    await eventually(() => !fs.existsSync(`/proc/${reader.trim()}`));
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test(
  'what was put in the place of a pipe since it was seen is not opened with rights of root',
  LIMITS,
  async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-launch-'));
    const [file, fifo] = [path.join(directory, 'file'), path.join(directory, 'fifo')];
    fs.writeFileSync(file, 'of root');
    execFileSync('mkfifo', [fifo]);
    const opened = [fs.openSync(file, 'r'), fs.openSync(fifo, 'r+')];
    try {
      for (const fd of opened) {
        const child = spawn('sleep', ['200'], { stdio: ['ignore', fd, fd] });
        const of = { pid: must(child.pid), outputs: ['pipe:[1]', 'pipe:[1]'] } as const;
        const pipes = await keptPipes(of);
        child.kill();
        for (const pipe of pipes) await pipe?.close();
        assert.deepEqual(pipes, NONE);
      }
    } finally {
      for (const fd of opened) fs.closeSync(fd);
      fs.rmSync(directory, { recursive: true });
    }
  },
);
