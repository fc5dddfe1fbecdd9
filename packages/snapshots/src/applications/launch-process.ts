/**
 * The process that starts a server as it was, and ends. It is root where its parent is, with an environment of its own; what it is told in one line
 * of JSON on its standard input counts only once it has the server's account: the environment, the program, the files that it writes.
 *
 * Descriptor 3 is where the server's output goes if it cannot go where it went; 4 and 5 are pipes into which it went, where they were kept.
 */
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describeError } from '@rokka/kernel';
import type { Launch, Launched } from './launch.ts';

const FALLBACK_FD = 3;
const KEPT_FDS = [4, 5] as const;
const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = fs.constants;
/** As most programs have it, once its umask is taken off. */
const LOG_MODE = 0o666;

const launch = JSON.parse(fs.readFileSync(0, 'utf8')) as Launch;
takeItsPlace(launch);
goTo([launch.env['PWD'] ?? '', launch.cwd, '/']);
const [out, err] = [outputAt(0), outputAt(1)];
const [, ...args] = launch.argv;
const server = spawn(launch.exe, args, {
  argv0: launch.argv[0] ?? launch.exe,
  env: launch.env,
  detached: true,
  stdio: [launch.input === undefined ? 'ignore' : 'pipe', out, err],
});
server.once('error', (error) => say({ refused: describeError(error) }));
server.once('spawn', () => {
  const pid = server.pid ?? 0;
  if (!server.stdin) return say({ pid });
  server.stdin.on('error', () => {});
  server.stdin.end(launch.input ?? '', () => say({ pid }));
});

function say(launched: Launched): void {
  fs.writeSync(1, JSON.stringify(launched));
  process.exit(0);
}

/** Its limits and its cgroup while that may be set, then its account, from which there is no way back. */
function takeItsPlace({ oomScoreAdj, cgroup, limits, uid, gid, groups, umask }: Launch): void {
  attempt(() => fs.writeFileSync('/proc/self/oom_score_adj', oomScoreAdj));
  // Where that cgroup has gone with its last process, the server stays in this one.
  if (cgroup !== '')
    attempt(() => fs.writeFileSync(path.join('/sys/fs/cgroup', cgroup, 'cgroup.procs'), String(process.pid)));
  for (const limit of limits)
    attempt(() => execFileSync('prlimit', ['--pid', String(process.pid), limit], { stdio: 'ignore' }));
  if (process.getuid?.() === 0) {
    process.setgroups?.([...groups]);
    process.setgid?.(gid);
    process.setuid?.(uid);
  }
  process.umask(umask);
}

function attempt(set: () => void): void {
  try {
    set();
  } catch {
    // The server runs without it as well.
  }
}

/** Servers go to their data directory by themselves; a relative argument is meant from where their shell was. */
function goTo(directories: readonly string[]): void {
  for (const directory of directories)
    try {
      if (path.isAbsolute(directory)) return process.chdir(directory);
    } catch {
      // It is not there, or not for this account.
    }
}

function outputAt(at: 0 | 1): number {
  const was = launch.outputs[at];
  if (launch.kept[at]) return KEPT_FDS[at];
  if (!path.isAbsolute(was)) return FALLBACK_FD;
  try {
    if (was === '/dev/null') return fs.openSync(was, O_WRONLY);
    // Not for a pipe that nobody reads.
    const fd = fs.openSync(was, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, LOG_MODE);
    if (fs.fstatSync(fd).isFile()) return fd;
    fs.closeSync(fd);
  } catch {
    // Its account may not write there, or the directory has gone.
  }
  return FALLBACK_FD;
}
