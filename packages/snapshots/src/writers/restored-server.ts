/**
 * The one way in which a server is started on a restored copy: as the account that the copy belongs to, never as root, and shut in.
 *
 * What is on a copy may lead anywhere, not only by links: logs that a server redoes name files by their whole paths, and what they name is in
 * use. And it may be anybody's work, who wants it to do harm. So, where this process is root, the server
 * - can write to nothing but the copies and its private directory: every other mount is read-only to it. Where a volume is mounted that a
 *   copy shows, it sees the copy: a whole path leads there;
 * - has no network: neither does it listen on a port, nor does it reach a primary that its settings name;
 * - has no rights to gain (no_new_privs), leaves no shared memory, dies with this process, and is the first to go where memory runs out.
 *
 * All this is the kernel's doing, in namespaces that go with the server (namespaces(7)), so there is nothing to undo.
 */
import * as fs from 'node:fs/promises';
import { snapshotErrors } from '../errors.ts';
import { accountOf, type Account } from './accounts.ts';
import { obeying } from './obeying.ts';
import { PrivateServer, type PrivateServerOptions } from './private-server.ts';
import { isProgram } from './program.ts';

/** The copies, all those of the set. */
export interface CopiedVolumes {
  readonly mountPoints: readonly string[];
  /** By mount point: where the volume that it shows is mounted, or was. */
  readonly originals?: ReadonlyMap<string, string>;
}

export interface RestoredServerOptions extends Pick<
  PrivateServerOptions,
  'what' | 'files' | 'ready' | 'failureIn' | 'stopSignal' | 'signal'
> {
  readonly program: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Of the copy (accountOfCopy). */
  readonly account: Account;
  readonly volumes: CopiedVolumes;
  /** @param directory its own, in which its socket shall be (socketIn) */
  args(directory: string): readonly string[];
}

/** @throws SNAPSHOTS_PROGRAM_MISSING, SNAPSHOTS_RESTORED_BROKEN, the signal's reason */
export async function startRestoredServer(options: RestoredServerOptions): Promise<PrivateServer> {
  const { what, program, env = {}, account, volumes, args, signal } = options;
  if (!(await isProgram(program))) throw snapshotErrors.SNAPSHOTS_PROGRAM_MISSING([program, what]);
  const mounts = isRoot() ? await mountsFor(volumes, signal) : undefined;
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return PrivateServer.start({
    ...options,
    command: (directory) => {
      const server = ['env', ...variables, program, ...args(directory)];
      return mounts ? confined({ account, mounts, directory }, server) : mortal([], server);
    },
  });
}

/**
 * The owner, in his own group: that of the files may be any that a program with more rights has given them.
 * @throws SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_RESTORED_BROKEN
 */
export async function accountOfCopy(owned: string, what: string): Promise<Account> {
  const { uid } = await fs.lstat(owned);
  if (uid === 0) throw snapshotErrors.SNAPSHOTS_COPY_OF_ROOT([owned]);
  const account = await accountOf(uid);
  if (account) return account;
  const why = `its owner has the number ${uid}, of which /etc/passwd knows no account: chown it to the server's`;
  throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([what, why]);
}

const isRoot = () => process.getuid?.() === 0;

interface Mounts {
  readonly writable: readonly string[];
  /** Each copy, and where it is seen as well. */
  readonly instead: readonly (readonly [copy: string, original: string])[];
  readonly readOnly: readonly string[];
}

/** Through these nobody but root changes anything, and their mounts may be many. */
const KERNEL_FILE_SYSTEMS = ['proc', 'sysfs', 'cgroup', 'cgroup2', 'devpts', 'mqueue', 'autofs', 'nsfs'];

async function mountsFor({ mountPoints, originals }: CopiedVolumes, signal: AbortSignal): Promise<Mounts> {
  const writable: string[] = [];
  const instead: [string, string][] = [];
  // Mounts are known by their real names.
  for (const mountPoint of mountPoints) {
    const copy = await obeying(fs.realpath(mountPoint), signal);
    writable.push(copy);
    const original = await obeying(directoryAt(originals?.get(mountPoint)), signal);
    if (original !== undefined) instead.push([copy, original]);
  }
  // What was mounted at an original cannot be seen any more below its copy.
  const kept = new Set([...writable, ...instead.map(([, original]) => original)]);
  const all = parseMounts(await fs.readFile('/proc/self/mountinfo', 'utf8'));
  return { writable, instead, readOnly: all.filter((mountPoint) => !kept.has(mountPoint)) };
}

/** Its real name; undefined where there is none, and a path leads nowhere. */
async function directoryAt(name: string | undefined): Promise<string | undefined> {
  const real = name === undefined ? undefined : await fs.realpath(name).catch(() => undefined);
  const status = real === undefined ? undefined : await fs.stat(real).catch(() => undefined);
  return status?.isDirectory() ? real : undefined;
}

/** Those that may be written to, each once: `id parent major:minor root mount-point options … - type source …` (proc_pid_mountinfo(5)). */
export function parseMounts(mountinfo: string): string[] {
  const found = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const [head = '', tail = ''] = line.split(' - ');
    const [, , , , mountPoint, options = ''] = head.split(' ');
    const isKernels = KERNEL_FILE_SYSTEMS.includes(tail.split(' ')[0] ?? '');
    if (mountPoint === undefined || isKernels || options.split(',').includes('ro')) continue;
    found.add(
      mountPoint.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    );
  }
  return [...found];
}

/**
 * Paths follow, up to `--` each: what stays writable, pairs of a copy and where it is seen as well, what becomes read-only; then the server.
 * A mount that has gone meanwhile can harm nobody. Helpers of file systems (-i), which know nothing of binds, are not asked.
 */
const CONFINE = `
set -eu
ulimit -c 0
echo 1000 >/proc/self/oom_score_adj
while [ "$1" != -- ]; do mount -i --bind "$1" "$1"; shift; done
shift
while [ "$1" != -- ]; do mount -i --bind "$1" "$2"; shift 2; done
shift
while [ "$1" != -- ]; do mount -i -o remount,bind,ro "$1" || ! mountpoint -q "$1"; shift; done
shift
mount -i -t tmpfs -o mode=1777 tmpfs /dev/shm
exec "$@"
`;

function confined(
  { account, mounts, directory }: { account: Account; mounts: Mounts; directory: string },
  server: readonly string[],
): string[] {
  const { uid, gid } = account;
  const namespaces = ['--mount', '--propagation', 'private', '--net', '--ipc', '--'];
  const lists = [[...mounts.writable, directory], mounts.instead.flat(), mounts.readOnly];
  const rights = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'];
  const shell = ['sh', '-c', CONFINE, 'sh', ...lists.flatMap((list) => [...list, '--'])];
  return ['unshare', ...namespaces, ...shell, ...mortal(rights, server)];
}

/** It goes with this process, however that ends. */
function mortal(rights: readonly string[], server: readonly string[]): string[] {
  return ['setpriv', ...rights, '--pdeathsig', 'KILL', '--', ...server];
}
