/** The bits of `mode`, as in <linux/stat.h>: the kind of an inode and its permissions. */

export type FileKind = 'file' | 'directory' | 'symlink';

export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFLNK = 0o120000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
const S_IXGRP = 0o0010;
export const PERMISSIONS = 0o7777;

/** The kind that `mode` names, or undefined for devices, pipes and sockets, which this filesystem does not hold. */
export function kindOf(mode: number): FileKind | undefined {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'file';
    case S_IFDIR:
      return 'directory';
    case S_IFLNK:
      return 'symlink';
    default:
      return undefined;
  }
}

/**
 * The mode after somebody wrote to the file or gave it away: a program that changed must not go on running with its
 * former owner's rights. Set-group-id without group execute has no such meaning and stays, as in Linux.
 */
export function withoutSetId(mode: number): number {
  if (kindOf(mode) !== 'file') return mode;
  return mode & ~S_ISUID & (mode & S_IXGRP ? ~S_ISGID : ~0);
}
