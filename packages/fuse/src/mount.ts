/**
 * Opens the device and ties it to a mount point by mount(8), and takes it away again. Works for root, in a mount namespace
 * of its own, and for an ordinary user who is root of a user namespace: the kernel asks only that the device was opened in
 * the user namespace in which it is mounted (fs/fuse/inode.c, fuse_fill_super).
 *
 * The mounting process must never touch a path under its own mount: it would wait for itself.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { deadline, isCoded, type Clock } from '@rokka/kernel';
import { fuseErrors } from './errors.ts';
import { readMountTable, type MountEntry } from './mount-table.ts';
import { IO_BYTES_MAX } from './protocol.ts';
import { runProgram } from './run-program.ts';

/** The filesystem type that mount tables show. */
export const MOUNT_TYPE = 'fuse.rokka';
const DEVICE = '/dev/fuse';

/** What bounds a wait for a program. */
export interface Limits {
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export interface MountOptions extends Limits {
  readonly mountPoint: string;
  /** The first column of df(1): which volume this is. */
  readonly source: string;
  /** To be opened, unless it is open already; then it stays the caller's where mounting fails. */
  readonly device?: string;
  readonly fd?: number;
}

export interface Mounted {
  /** The device, tied to the mount; whoever gets it closes it. */
  readonly fd: number;
  /** Absolute, without symbolic links. */
  readonly mountPoint: string;
}

/**
 * Mounts. A dead mount of ours at the same place, left by a server that was killed, is taken away first.
 * The caller must start to answer requests at once.
 *
 * @throws FUSE_NO_DEVICE, FUSE_NOT_PERMITTED, FUSE_NO_MOUNT_POINT, FUSE_ALREADY_MOUNTED, FUSE_NO_MOUNT_PROGRAM,
 *   FUSE_MOUNT_FAILED, KERNEL_DEADLINE
 */
export async function mount(options: MountOptions): Promise<Mounted> {
  const mountPoint = await resolveMountPoint(options.mountPoint, options);
  await removeDeadMount(mountPoint, options);
  const fd = options.fd ?? openDevice(options.device ?? DEVICE);
  try {
    const { status, words } = await runProgram('mount', mountArguments(mountPoint, options.source), {
      ...options,
      fd3: fd,
    });
    if (status === 0) return { fd, mountPoint };
    if (/permission denied|not permitted|must be superuser/i.test(words))
      throw fuseErrors.FUSE_NOT_PERMITTED([`mounting ${mountPoint}`, words]);
    throw fuseErrors.FUSE_MOUNT_FAILED([mountPoint, words || `mount ended with status ${status}`]);
  } catch (error) {
    if (options.fd === undefined) fs.closeSync(fd);
    throw error;
  }
}

/**
 * Takes the mount at `mountPoint` away; nothing mounted there is no error. `lazy` makes the path free at once even where
 * files in it are open, `abort` also fails every request that is on the way or still to come.
 *
 * @throws FUSE_UNMOUNT_FAILED, FUSE_NO_MOUNT_PROGRAM, KERNEL_DEADLINE
 */
export async function unmount(
  mountPoint: string,
  options: Limits & { how: 'clean' | 'lazy' | 'abort' },
): Promise<void> {
  const flags = { clean: [], lazy: ['-l'], abort: ['-f', '-l'] }[options.how];
  // Neither helpers nor a look at the path: a mount whose server is gone answers no lstat.
  const { status, words } = await runProgram('umount', ['-i', '-c', ...flags, '--', mountPoint], options);
  if (status !== 0 && !/not mounted|no mount point/i.test(words))
    throw fuseErrors.FUSE_UNMOUNT_FAILED([mountPoint, words || `umount ended with status ${status}`]);
}

/**
 * Takes away what servers that were killed left mounted below `directory`. A mount that answers, or hangs, stays.
 * @returns the paths that are free now
 * @throws FUSE_UNMOUNT_FAILED, FUSE_NO_MOUNT_PROGRAM, KERNEL_DEADLINE
 */
export async function removeDeadMounts(directory: string, limits: Limits): Promise<string[]> {
  const removed: string[] = [];
  for (const { mountPoint, type } of readMountTable()) {
    if (type !== MOUNT_TYPE || path.dirname(mountPoint) !== directory) continue;
    if (await answers(mountPoint, limits)) continue;
    await unmount(mountPoint, { ...limits, how: 'lazy' });
    removed.push(mountPoint);
  }
  return removed;
}

function mountArguments(mountPoint: string, source: string): string[] {
  const { getuid, getgid } = process;
  const settings = [
    'fd=3',
    'rootmode=40000',
    `user_id=${getuid?.() ?? 0}`,
    `group_id=${getgid?.() ?? 0}`,
    `max_read=${IO_BYTES_MAX}`,
    // Everybody may come in, and the kernel itself checks owners and modes.
    'allow_other',
    'default_permissions',
    // A volume may come from somebody else: what it holds gives nobody rights on this machine.
    'nosuid',
    'nodev',
  ];
  return ['-i', '-t', MOUNT_TYPE, '-o', settings.join(','), '--', source, mountPoint];
}

/** For a mount that is to outlive its server. @throws FUSE_NO_DEVICE, FUSE_NOT_PERMITTED */
export function openDevice(device = DEVICE): number {
  try {
    return fs.openSync(device, fs.constants.O_RDWR);
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM')
      throw fuseErrors.FUSE_NOT_PERMITTED([`opening ${device}`, code], { cause });
    throw fuseErrors.FUSE_NO_DEVICE([device, code || message], { cause });
  }
}

/** Never by a synchronous call: the path may lie under a mount of this very process, given by mistake. */
async function resolveMountPoint(given: string, { timeoutMs: ms, clock }: Limits): Promise<string> {
  const absolute = path.resolve(given);
  if (mountedAt(absolute)?.type === MOUNT_TYPE) return absolute;
  const what = `looking at ${given}`;
  try {
    const resolved = await deadline(fs.promises.realpath(absolute), { what, ms, clock });
    const status = await deadline(fs.promises.stat(resolved), { what, ms, clock });
    if (status.isDirectory()) return resolved;
  } catch (cause) {
    if (isCoded(cause)) throw cause;
    const { code = '' } = cause as NodeJS.ErrnoException;
    throw fuseErrors.FUSE_NO_MOUNT_POINT([given, code], { cause });
  }
  throw fuseErrors.FUSE_NO_MOUNT_POINT([given, 'not a directory']);
}

/** A server that was killed leaves a mount that answers ENOTCONN: it is taken away. */
async function removeDeadMount(mountPoint: string, limits: Limits): Promise<void> {
  while (mountedAt(mountPoint)?.type === MOUNT_TYPE) {
    if (await answers(mountPoint, limits)) throw fuseErrors.FUSE_ALREADY_MOUNTED([mountPoint]);
    await unmount(mountPoint, { ...limits, how: 'lazy' });
  }
}

function mountedAt(mountPoint: string): MountEntry | undefined {
  return readMountTable().findLast((entry) => entry.mountPoint === mountPoint);
}

/** A mount that hangs counts as one that answers: it is not ours to take away. */
async function answers(mountPoint: string, { timeoutMs: ms, clock }: Limits): Promise<boolean> {
  try {
    await deadline(fs.promises.stat(mountPoint), { what: `stat ${mountPoint}`, ms, clock });
    return true;
  } catch (error) {
    return isCoded(error) || (error as NodeJS.ErrnoException).code !== 'ENOTCONN';
  }
}
