/** Applications that tests of other packages take snapshots of. */
export { installedPrograms, PostgresServer, REDO_BYTES_MAX } from './postgres-server.ts';
export { SqliteLoad, type SqliteLoadOptions } from './sqlite-program.ts';
