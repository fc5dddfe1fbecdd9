/** Snapshots in which applications have nothing to recover. */
export type { Coordination, Limits, Step, WriterFacts, WriterState } from './coordination.ts';
export { coordinate, LIMITS, type CoordinateOptions } from './coordinator.ts';
export { snapshotErrors } from './errors.ts';
export { outcomeOf, type Outcome } from './outcome.ts';
export {
  FREEZE_MS_MAX,
  HOLD_MS_MAX,
  type Provider,
  type SnapshotOfVolume,
  type SnapshotSetResult,
} from './provider.ts';
export { readable } from './readable.ts';
export { straysOn, type StraysOptions } from './strays.ts';
export type { Verdict, Verifier, VerifyOptions } from './verifier.ts';
export {
  LEVELS,
  type Component,
  type DiscoverOptions,
  type Frozen,
  type Level,
  type MountedVolume,
  type Writer,
  type WriterKind,
} from './writer.ts';
export { postgresql, type PostgresLogin, type PostgresOptions } from './writers/postgresql.ts';
export {
  tryRestoredPostgres,
  type PostgresPrograms,
  type RestoredPostgres,
  type RestoredPostgresOptions,
} from './writers/postgresql-restored.ts';
export { sqlite, tryRestoredSqlite, type SqliteOptions } from './writers/sqlite.ts';
export { postgresqlVerifier } from './writers/postgresql-verifier.ts';
export { sqliteVerifier } from './writers/sqlite-verifier.ts';
export type { RestoredSqlite } from './writers/sqlite-helper.ts';
export { recoverScripts, script, type ScriptOptions } from './writers/script.ts';
export { files } from './writers/files.ts';
export { mariadbKind, type MariadbKindOptions } from './writers/mariadb/kind.ts';
export {
  startRestoredMariadb,
  type InnodbRecovery,
  type RestoredMariadb,
  type RestoredMariadbOptions,
} from './writers/mariadb/restored.ts';
export { redisKind, type RedisKindOptions } from './writers/redis/kind.ts';
export {
  startRestoredRedis,
  type RestoredRedis,
  type RestoredRedisOptions,
} from './writers/redis/restored.ts';
