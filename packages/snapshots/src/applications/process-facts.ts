/**
 * How a process was started, as the kernel tells it while it runs (proc(5)): its program, arguments, environment, account. Never from a
 * volume, on which anybody may have written anything; and nothing that a process says of itself gives it more than it has.
 *
 * So a process is described only where it can be started again with exactly the rights that it has: one of root's, one in another namespace (a
 * container), one with capabilities, one that is confined, are nobody's to start.
 */
import * as fs from 'node:fs/promises';
import { isProgram } from '../writers/program.ts';

export interface ProcessFacts {
  readonly pid: number;
  /** Which boot, and how many ticks after it: with the pid it names one process for good. */
  readonly startedAt: string;
  readonly exe: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly umask: number;
  /** Soft and hard, as prlimit(1) takes them: `--nofile=1024:4096`. */
  readonly limits: readonly string[];
  readonly oomScoreAdj: string;
  /** Its path in the one hierarchy; empty where there is none. */
  readonly cgroup: string;
  /** Where its standard output and its standard error go: `/var/log/x.log`, `pipe:[4711]`. */
  readonly outputs: readonly [string, string];
}

const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'user', 'cgroup'];
const IDS = 4;

/** In words, why it cannot be started again as it is. */
export class Unlike extends Error {
  override name = 'Unlike';
}

/** @throws Unlike; the system's error where it is gone or may not be looked at */
export async function processFacts(pid: number): Promise<ProcessFacts> {
  const proc = `/proc/${pid}`;
  for (const kind of NAMESPACES)
    if ((await fs.readlink(`${proc}/ns/${kind}`)) !== (await fs.readlink(`/proc/self/ns/${kind}`)))
      throw new Unlike(`it has a namespace of its own (${kind}), as in a container`);
  if ((await fs.readlink(`${proc}/root`)) !== '/') throw new Unlike('it has another root directory');
  if ((await confinement(proc)) !== (await confinement('/proc/self')))
    throw new Unlike('it is confined, or this process is');
  const account = await accountFacts(proc);
  const facts = {
    pid,
    ...account,
    startedAt: await startedAtOf(await fs.readFile(`${proc}/stat`, 'latin1')),
    exe: await programOf(proc),
    argv: words(await fs.readFile(`${proc}/cmdline`)),
    env: environment(words(await fs.readFile(`${proc}/environ`))),
    cwd: await fs.readlink(`${proc}/cwd`),
    limits: limitsOf(await fs.readFile(`${proc}/limits`, 'latin1')),
    oomScoreAdj: (await fs.readFile(`${proc}/oom_score_adj`, 'latin1')).trim(),
    cgroup: cgroupOf(await fs.readFile(`${proc}/cgroup`, 'latin1')),
    outputs: [await outputOf(proc, 1), await outputOf(proc, 2)],
  } as const;
  // What was read of a program before and after it has become another one must not be put together.
  const [still, exe] = [await accountFacts(proc), await programOf(proc)];
  if (exe !== facts.exe || JSON.stringify(still) !== JSON.stringify(account))
    throw new Unlike('it becomes another program at this moment');
  return facts;
}

async function accountFacts(proc: string) {
  const own = await fs.readFile('/proc/self/status', 'latin1');
  return statusFacts(await fs.readFile(`${proc}/status`, 'latin1'), own);
}

/** @throws Unlike where an upgrade has taken it away: it could be stopped, and not started */
async function programOf(proc: string): Promise<string> {
  const exe = (await fs.readlink(`${proc}/exe`)).replace(/ \(deleted\)$/, '');
  const isThere = await isProgram(exe);
  if (!isThere) throw new Unlike(`its program ${exe} is not there any more`);
  return exe;
}

/** By a security module (AppArmor, SELinux); the same for all where there is none. */
async function confinement(proc: string): Promise<string> {
  const text = await fs.readFile(`${proc}/attr/current`, 'latin1').catch(() => '');
  return text.replace(/[\0\s]+$/, '');
}

/** That very one, and not only its remains, which its parent has not looked at. */
export async function isAlive({ pid, startedAt }: Pick<ProcessFacts, 'pid' | 'startedAt'>): Promise<boolean> {
  try {
    const stat = await fs.readFile(`/proc/${pid}/stat`, 'latin1');
    return !isDead(stat) && (await startedAtOf(stat)) === startedAt;
  } catch {
    return false;
  }
}

/** Its parent, and that one's, up to the first. */
export async function hasAncestor(pid: number, ancestor: number): Promise<boolean> {
  for (let at = pid; at > 0;) {
    if (at === ancestor) return true;
    const stat = await fs.readFile(`/proc/${at}/stat`, 'latin1').catch(() => '');
    at = Number(fieldsOf(stat)[1] ?? 0);
  }
  return false;
}

/** Of `status`, where it may be started again with what is told. @throws Unlike */
export function statusFacts(
  status: string,
  own: string,
): Pick<ProcessFacts, 'uid' | 'gid' | 'groups' | 'umask'> {
  const of = (text: string, name: string) =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1].trim() ?? '';
  const one = (name: string) => {
    const ids = of(status, name).split(/\s+/);
    if (ids.length !== IDS || ids.some((id) => id !== ids[0]))
      throw new Unlike('it has more than one account');
    return Number(ids[0]);
  };
  const [uid, gid] = [one('Uid'), one('Gid')];
  if (uid === 0) throw new Unlike('it runs as root');
  const isNone = (name: string) => /^0*$/.test(of(status, name));
  if (!['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].every(isNone)) throw new Unlike('it has capabilities');
  if (['CapBnd', 'NoNewPrivs', 'Seccomp'].some((name) => of(status, name) !== of(own, name)))
    throw new Unlike('it is confined, or this process is');
  const groups = of(status, 'Groups').split(/\s+/).filter(Boolean).map(Number);
  return { uid, gid, groups, umask: Number.parseInt(of(status, 'Umask') || '022', 8) };
}

/** In the one hierarchy (cgroups(7)); or, where there are several, that of systemd. */
export function cgroupOf(text: string): string {
  return /^0::(.*)$/m.exec(text)?.[1] ?? /^\d+:name=systemd:(.*)$/m.exec(text)?.[1] ?? '';
}

/** From the state on: the name before it may have anything in it. */
const fieldsOf = (stat: string) => stat.slice(stat.lastIndexOf(')') + 2).split(' ');
const STARTED_FIELD = 19;
/** The ticks begin anew at each boot, and so do the pids. */
const startedAtOf = async (stat: string) => {
  const boot = await fs.readFile('/proc/sys/kernel/random/boot_id', 'latin1');
  return `${boot.trim()} ${fieldsOf(stat)[STARTED_FIELD] ?? ''}`;
};
const isDead = (stat: string) => ['Z', 'X'].includes(fieldsOf(stat)[0] ?? '');

/** @throws Unlike where a program could not be given them */
function words(bytes: Buffer): string[] {
  const text = bytes.toString('utf8');
  if (text.includes('\uFFFD')) throw new Unlike('its arguments or its environment are no text');
  return text.replace(/\0+$/, '').split('\0');
}

/** What a program that writes its title over it has left of it. */
const environment = (all: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    all.flatMap((each) => {
      const match = /^([A-Za-z_]\w*)=(.*)$/s.exec(each);
      return match ? [[match[1], match[2]]] : [];
    }),
  );

/** Not those of memory and time: they would count for the process that starts it as well, and may end that one. */
const LIMITS = {
  'open files': 'nofile',
  processes: 'nproc',
  'locked memory': 'memlock',
  'core file size': 'core',
  'pending signals': 'sigpending',
  'msgqueue size': 'msgqueue',
  'nice priority': 'nice',
  'realtime priority': 'rtprio',
};

/** Of `limits`. */
export function limitsOf(text: string): string[] {
  return Object.entries(LIMITS).flatMap(([name, option]) => {
    const match = new RegExp(`^Max ${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(text);
    return match ? [`--${option}=${match[1]}:${match[2]}`] : [];
  });
}

/** Empty where it writes nowhere. */
async function outputOf(proc: string, fd: 1 | 2): Promise<string> {
  return fs.readlink(`${proc}/fd/${fd}`).catch(() => '');
}
