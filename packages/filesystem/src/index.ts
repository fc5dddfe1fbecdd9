/** Files on a volume: every operation one mini-transaction. */
export { FileSystem, type DirectoryEntry, type MountOptions, type Statistics } from './filesystem.ts';
export { checkFilesystem, checkFilesystemAsync, type CheckReport } from './checker.ts';
export type { AttributeChange, Attributes } from './attributes.ts';
export { ERRNO, filesystemErrors, FsError, type ErrnoName } from './errors.ts';
export type { AllocateRange } from './file-data.ts';
export { fileTimeFromMs, fileTimeToMs, type FileTime } from './file-time.ts';
export type { TouchedInodes } from './dirty-times.ts';
export type { Inherited } from './mount.ts';
export type { FormatOptions } from './format.ts';
export { FILE_BYTES_MAX, NAME_BYTES_MAX, ROOT_INO, WRITE_BYTES_MAX, type Ino } from './layout.ts';
export type { FileKind } from './mode.ts';
export { nameFromUtf8, nameToUtf8 } from './names.ts';
export type { NewInode, Owner } from './namespace.ts';
export type { RenameOptions } from './rename.ts';
