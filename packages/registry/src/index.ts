/** Cluster state by compare-and-set: the contract and its implementations. What is kept in it, its users say. */
export * from './registry.ts';
export { registryErrors } from './errors.ts';
export { openSqliteRegistry, type SqliteRegistryOptions } from './sqlite-registry.ts';
export { MemoryRegistry } from './memory-registry.ts';
