export * from './page-store.ts';
