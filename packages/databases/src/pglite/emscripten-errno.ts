/** Linux error numbers, which the filesystem speaks, as Emscripten's musl numbers them (WASI). */

const WASI_FROM_LINUX: ReadonlyMap<number, number> = new Map([
  [1, 63], // EPERM
  [2, 44], // ENOENT
  [5, 29], // EIO
  [9, 8], // EBADF
  [13, 2], // EACCES
  [16, 10], // EBUSY
  [17, 20], // EEXIST
  [18, 75], // EXDEV
  [20, 54], // ENOTDIR
  [21, 31], // EISDIR
  [22, 28], // EINVAL
  [27, 22], // EFBIG
  [28, 51], // ENOSPC
  [30, 69], // EROFS
  [31, 34], // EMLINK
  [36, 37], // ENAMETOOLONG
  [38, 52], // ENOSYS
  [39, 55], // ENOTEMPTY
  [40, 32], // ELOOP
  [75, 61], // EOVERFLOW
  [95, 138], // EOPNOTSUPP
  [116, 72], // ESTALE
]);

export const WASI_EIO = 29;
export const WASI_EINVAL = 28;
export const WASI_ENOSPC = 51;
export const WASI_EOPNOTSUPP = 138;

export function wasiErrno(linuxErrno: number): number {
  return WASI_FROM_LINUX.get(linuxErrno) ?? WASI_EIO;
}
