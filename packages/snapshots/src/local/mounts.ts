/** What is mounted where, as /proc/self/mountinfo has it (proc_pid_mountinfo(5)). Pure, but for reading it. */
import * as fs from 'node:fs/promises';

export interface Mount {
  /** `7:3`: major and minor number. */
  readonly device: string;
  /** The directory of the file system that is shown: `/` unless only a part of it is. */
  readonly root: string;
  readonly mountPoint: string;
  /** `ext4`, `xfs`, `nfs4`, … */
  readonly type: string;
  /** `/dev/loop3` */
  readonly source: string;
  /** Of the file system, not of this mount: `rw,logdev=/dev/sdb`. */
  readonly options: string;
}

export async function readMounts(): Promise<readonly Mount[]> {
  return parseMounts(await fs.readFile('/proc/self/mountinfo', 'utf8'));
}

/** In the order in which they were mounted: the last one at a mount point is what is seen there. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      // Before the dash stand optional fields, as many as there are.
      const [before = '', after = ''] = line.split(' - ');
      const [, , device = '', root = '', mountPoint = ''] = before.split(' ');
      const [type = '', source = '', options = ''] = after.split(' ');
      return {
        device,
        root: plain(root),
        mountPoint: plain(mountPoint),
        type,
        source: plain(source),
        options,
      };
    });
}

/** What is seen at this place, where something is mounted right there. */
export function mountAt(mounts: readonly Mount[], mountPoint: string): Mount | undefined {
  return mounts.findLast((mount) => mount.mountPoint === mountPoint);
}

/** `7:3` of what stat(2) answers (makedev(3)). */
export function deviceOf(dev: number): string {
  const number = BigInt(dev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Spaces, tabs, line feeds and backslashes stand there in octal. */
const plain = (text: string) =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
