/** What tests of other packages stand on: file systems, and applications that they take snapshots of. */
export * from '../local/testing/loop-bench.ts';
export * from '../writers/testing/postgres-server.ts';
export { SqliteLoad, type SqliteLoadOptions } from '../writers/testing/sqlite-program.ts';
export { parseRecovery } from '../writers/postgresql-recovery.ts';
export { RedisClient } from '../writers/redis/client.ts';
export { connect as connectMariadb, startMariadb } from '../writers/testing/mariadb-fixture.ts';
export { killServersIn, skipWithout, startServer } from '../writers/testing/store.ts';
