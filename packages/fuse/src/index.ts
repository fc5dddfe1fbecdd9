/** Shows a filesystem as a mount, in the Linux kernel's FUSE protocol. */
export { FileSystemHandler } from './filesystem-handler.ts';
export { FuseServer, type FuseEnd, type FuseServerOptions } from './server.ts';
export type { FuseStatistics } from './session.ts';
export type { ReaderKind } from './channel.ts';
export type {
  AttributeChange,
  Creation,
  DirectoryEntry,
  DirectoryPlace,
  FileAttributes,
  FuseHandler,
  StatFs,
  Time,
} from './handler.ts';
export type { ChangeLog, Legacy } from './legacy.ts';
export { OpenCounts } from './open-counts.ts';
export { TouchedRows } from './touched-rows.ts';
export { MOUNT_TYPE, openDevice, removeDeadMounts, unmount } from './mount.ts';
export { readMountTable, type MountEntry } from './mount-table.ts';
export { fuseErrors } from './errors.ts';
