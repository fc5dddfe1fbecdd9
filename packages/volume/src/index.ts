export * from './page-store.ts';
export { MemoryPageStore } from './memory-page-store.ts';
