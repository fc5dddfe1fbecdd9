/**
 * Two kinds of refusal. FsError is what POSIX gives a caller of one operation: a Linux errno and its name. The coded
 * errors concern the filesystem as a whole: there is none, it is of another version, it is damaged.
 */
import { CodedError, defineErrors } from '@rokka/kernel';

/** Linux numbers on every platform: they go to the kernel's FUSE and to PGlite's musl as they are. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  EOPNOTSUPP: 95,
  ESTALE: 116,
} as const;

export type ErrnoName = keyof typeof ERRNO;

/** One operation was refused, and nothing changed. `code` is the errno's name, `errno` its number. */
export class FsError extends CodedError {
  override name = 'FsError';
  readonly errno: number;

  constructor(code: ErrnoName, message: string) {
    super(code, message);
    this.errno = ERRNO[code];
  }
}

export function refuse(code: ErrnoName, message: string): never {
  throw new FsError(code, message);
}

export const filesystemErrors = defineErrors({
  FILESYSTEM_EXISTS: () => `page 0 of the volume is not empty: a filesystem is made on a new volume only`,
  FILESYSTEM_NONE: () => `the volume holds no filesystem: format it first`,
  FILESYSTEM_VERSION: (found: number, own: number) =>
    `the filesystem has format ${found}, this program reads ${own}: use the program that made it`,
  FILESYSTEM_CORRUPT: (page: number, slot: number, why: string) =>
    `metadata page ${page}, slot ${slot}: ${why}; run the checker, restore from a snapshot or a backup`,
});
