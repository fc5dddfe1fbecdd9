export * from './page-store.ts';
export { MemoryPageStore } from './memory-page-store.ts';
export * from './record-sink.ts';
export { PageCache } from './page-cache.ts';
export { SharedPageHost } from './shared-page-host.ts';
export { SharedPageStore } from './shared-page-store.ts';
export type { SharedPageMemory } from './shared-control.ts';
export { Volume, type VolumeOptions, type VolumeStatus } from './volume.ts';
export { volumeErrors } from './errors.ts';
