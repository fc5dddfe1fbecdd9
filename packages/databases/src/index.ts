/** Engines on a filesystem, native PostgreSQL and PGlite; and the records of which databases there are. */
export { databaseErrors } from './errors.ts';
export * from './native/index.ts';
export * from './pglite/index.ts';
export * from './records/index.ts';
