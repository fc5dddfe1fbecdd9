import { defineErrors } from '@rokka/kernel';

/** What can go wrong with the device and the mount. Errors inside the filesystem are error numbers, not codes. */
export const fuseErrors = defineErrors({
  FUSE_NO_DEVICE: (device: string, why: string) =>
    `${device} cannot be opened (${why}): load the kernel's fuse module, or pass the device into the container`,
  FUSE_NOT_PERMITTED: (what: string, why: string) =>
    `${what} is not permitted (${why}): run as root, or inside \`unshare --user --map-root-user --mount\``,
  FUSE_NO_MOUNT_POINT: (mountPoint: string, why: string) =>
    `mount point ${mountPoint} is no usable directory (${why}): make it first`,
  FUSE_ALREADY_MOUNTED: (mountPoint: string) =>
    `${mountPoint} already shows a rokka filesystem that answers: stop its server, or choose another mount point`,
  FUSE_NO_MOUNT_PROGRAM: (program: string) =>
    `the program ${program} was not found: install util-linux, or put it on the PATH`,
  FUSE_MOUNT_FAILED: (mountPoint: string, words: string) => `mounting ${mountPoint} failed: ${words}`,
  FUSE_UNMOUNT_FAILED: (mountPoint: string, words: string) => `unmounting ${mountPoint} failed: ${words}`,
  FUSE_KERNEL_TOO_OLD: (major: number, minor: number, least: string) =>
    `the kernel speaks FUSE ${major}.${minor}; ${least} or newer is needed`,
  FUSE_NO_EPOLL: (why: string) =>
    `this Node cannot poll the device (${why}): choose the reader 'pool' instead of 'epoll'`,
  FUSE_CHANNEL_FAILED: (why: string) => `the connection to the kernel failed: ${why}`,
});
