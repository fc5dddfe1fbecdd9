/**
 * The numbers of the FUSE protocol: operations, flags, and where each field lies. Source: the Linux kernel's
 * include/uapi/linux/fuse.h, protocol 7.23 to 7.41; names are the header's, without their prefix.
 *
 * All integers are little-endian here: Node runs on no big-endian Linux that we serve, and the kernel speaks its own order.
 */

export const FUSE_MAJOR = 7;
/** The newest minor version whose fields this code knows. The smaller of the kernel's and ours is spoken. */
export const FUSE_MINOR = 41;
/** The oldest whose INIT reply has the shape that we write (struct fuse_init_out of 64 bytes). */
export const FUSE_MINOR_LEAST = 23;

/** The node id of the root directory (FUSE_ROOT_ID). */
export const ROOT_ID = 1;

/** Most bytes in one READ or WRITE: 256 pages of 4 KiB, what every kernel since 4.20 allows without a sysctl. */
export const IO_BYTES_MAX = 1024 * 1024;
export const IO_PAGES_MAX = 256;

/** struct fuse_in_header: len, opcode, unique, nodeid, uid, gid, pid, total_extlen. */
export const IN_HEADER = {
  LENGTH: 0,
  OPCODE: 4,
  UNIQUE: 8,
  NODE_ID: 16,
  UID: 24,
  GID: 28,
  PID: 32,
  BYTES: 40,
} as const;

/** struct fuse_out_header: len, error (negative errno), unique. */
export const OUT_HEADER = { LENGTH: 0, ERROR: 4, UNIQUE: 8, BYTES: 16 } as const;

/** WRITE's data starts behind the header and struct fuse_write_in. */
export const WRITE_DATA_AT = IN_HEADER.BYTES + 40;

/**
 * A read from the device must offer room for the longest request, or the kernel fails that request
 * (fuse_dev_do_read); 4 KiB over max_write holds every header and every pair of names.
 */
export const REQUEST_BYTES_MAX = IO_BYTES_MAX + 4096;

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

const namesByOpcode = new Map<number, string>(Object.entries(OPCODE).map(([name, code]) => [code, name]));

/** For logs and counters. */
export function opcodeName(opcode: number): string {
  return namesByOpcode.get(opcode) ?? `OPCODE_${opcode}`;
}

/** INIT flags, first word. */
export const INIT_FLAG = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  EXPLICIT_INVAL_DATA: 1 << 25,
  HANDLE_KILLPRIV_V2: 1 << 28,
  INIT_EXT: 1 << 30,
} as const;

/** INIT flags, second word (the header numbers them from bit 32). Seen only where INIT_EXT is in the first. */
export const INIT_FLAG2 = {
  DIRECT_IO_ALLOW_MMAP: 1 << 4,
  /** Since 6.9: the kernel can send again what was not answered. */
  HAS_RESEND: 1 << 7,
} as const;

/** `error` of a message to the kernel that answers nothing (`unique` 0): send again what was not answered. */
export const NOTIFY_RESEND = 7;

/** open_flags of struct fuse_open_out. */
export const FOPEN = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  PARALLEL_DIRECT_WRITES: 1 << 6,
} as const;

/** `valid` of struct fuse_setattr_in. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  KILL_SUIDGID: 1 << 11,
} as const;

/** write_flags of struct fuse_write_in: the writer may not keep the set-user-ID and set-group-ID bits of the file. */
export const WRITE_KILL_SUIDGID = 1 << 2;
/** open_flags of struct fuse_open_in and fuse_create_in: the same for O_TRUNC. */
export const OPEN_KILL_SUIDGID = 1 << 0;
/** fsync_flags of struct fuse_fsync_in. */
export const FSYNC_DATA_ONLY = 1 << 0;

/** Bytes of the structures that open a reply's body. */
export const STRUCT_BYTES = {
  ATTR: 88,
  ENTRY_OUT: 128,
  ATTR_OUT: 104,
  OPEN_OUT: 16,
  WRITE_OUT: 8,
  INIT_OUT: 64,
  STATFS_OUT: 80,
  DIRENT: 24,
} as const;

/** Open flags that travel in OPEN, CREATE and WRITE (include/uapi/asm-generic/fcntl.h; the same on x86-64 and arm64). */
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_DSYNC = 0o10000;
/** What O_SYNC has beyond O_DSYNC (__O_SYNC). */
export const SYNC_WITH_METADATA = 0o4000000;

/** File types in `mode` (include/uapi/linux/stat.h). A directory entry's type is these bits shifted right by 12. */
export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFLNK = 0o120000;
/** Permission, set-ID and sticky bits. */
export const S_PERMISSIONS = 0o7777;

/** Flags of RENAME2 (include/uapi/linux/fs.h). */
export const RENAME_NOREPLACE = 1 << 0;
export const RENAME_EXCHANGE = 1 << 1;

/** Modes of FALLOCATE (include/uapi/linux/falloc.h). */
export const FALLOC_KEEP_SIZE = 0x01;
export const FALLOC_PUNCH_HOLE = 0x02;
export const FALLOC_ZERO_RANGE = 0x10;

/** Error numbers that the server answers on its own (include/uapi/asm-generic/errno*.h). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EEXIST: 17,
  EINVAL: 22,
  ENOTTY: 25,
  ENOSPC: 28,
  ENOSYS: 38,
  EPROTO: 71,
  EOPNOTSUPP: 95,
} as const;
