/** What tests of other packages stand on: file systems, and applications that they take snapshots of. */
export * from '../local/testing/loop-bench.ts';
export * from '../writers/testing/postgres-server.ts';
export { SqliteLoad, type SqliteLoadOptions } from '../writers/testing/sqlite-program.ts';
