/** Engines on a filesystem: native PostgreSQL and PGlite. */
export { databaseErrors } from './errors.ts';
export * from './native/index.ts';
export * from './pglite/index.ts';
