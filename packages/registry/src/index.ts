/** Cluster state by compare-and-set: the contract and its implementations. What is kept in it, its users say. */
export * from './registry.ts';
export { registryErrors } from './errors.ts';
export { openSqliteRegistry, type SqliteRegistryOptions } from './sqlite-registry.ts';
export { openEtcdRegistry, type EtcdRegistryOptions } from './etcd-registry.ts';
export type { Tls } from './http-post.ts';
export {
  openRegistry,
  parseRegistryLocation,
  type OpenRegistryOptions,
  type RegistryLocation,
} from './registry-location.ts';
export { MemoryRegistry } from './memory-registry.ts';
export { Holder, type HolderOptions, type Vacancy } from './holder.ts';
export type { HolderRecord, Standing, Tenure } from './tenure.ts';
