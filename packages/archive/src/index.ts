/** A volume's log and pages in an object store: what snapshots, clones and points in time are made of. */
export { archiveErrors } from './errors.ts';
export type { ObjectStore, StoredObject } from './object-store.ts';
export { DirectoryStore } from './directory-store.ts';
export { S3Store, type S3Credentials } from './s3-store.ts';
export type { S3Location } from './s3-failure.ts';
export { archivedVolumes, readDescriptor } from './descriptor.ts';
export type { ArchiveDescriptor, ArchivePoint } from './descriptor.ts';
export { adoptAll } from './adopt-all.ts';
export { ArchiveReader } from './archive-reader.ts';
export { makePages, removeArchive, removeUseless, wantsPages, type Retention } from './upkeep.ts';
export { pointAt, spanOf, type TimePoint } from './timeline.ts';
export { Archiver, type ArchivedVolume } from './archiver.ts';
