/** Engines on a filesystem: native PostgreSQL and PGlite. */
export * from './native/index.ts';
