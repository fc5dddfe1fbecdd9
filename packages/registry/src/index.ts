/** Cluster state by compare-and-set: the contract, its implementations, and the documents that Rokka keeps in it. */
export * from './registry.ts';
export { registryErrors } from './errors.ts';
export { openSqliteRegistry, type SqliteRegistryOptions } from './sqlite-registry.ts';
export { MemoryRegistry } from './memory-registry.ts';
export { listDocuments, putDocument, readDocument, removeDocument, type DocumentKind } from './document.ts';
export {
  CLUSTER,
  CLUSTER_FORMAT,
  DATABASES,
  MEMBERS_PER_GROUP,
  NODES,
  VOLUMES,
  type ClusterDocument,
  type DatabaseDocument,
  type GroupMember,
  type NodeDocument,
  type VolumeDocument,
  type VolumeGroup,
  type VolumeTruncationRange,
} from './cluster-state.ts';
