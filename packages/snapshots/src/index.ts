/** Snapshots in which applications have nothing to recover. */
export type {
  Application,
  ApplicationKind,
  ApplicationNote,
  FindOptions,
  FoundApplications,
  Immovable,
} from './applications/application.ts';
export { applicationKinds, type ApplicationKindsOptions } from './applications/kinds.ts';
export { type Movable, Standstill, type StandstillOptions, STOP_MS_MAX } from './applications/standstill.ts';
export {
  type AnsweredServer,
  type Stopped,
  StoppedFile,
  type StoppedNotes,
} from './applications/stopped-notes.ts';
export { CombinedProvider } from './combined-provider.ts';
export type { Coordination } from './coordination.ts';
export { coordinate } from './coordinator.ts';
export { snapshotErrors } from './errors.ts';
export { outcomeOf, type Outcome } from './outcome.ts';
export {
  type LocalFileSystems,
  localFileSystems,
  type LocalFileSystemsOptions,
  type LocalSet,
  type LocalSnapshot,
} from './local/filesystems.ts';
export type { LocalProvider } from './local/provider.ts';
export { HOLD_MS_MAX, type Provider, type SnapshotSetResult } from './provider.ts';
export { readable } from './readable.ts';
export { straysOn } from './strays.ts';
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
export { sqlite, type SqliteOptions } from './writers/sqlite.ts';
export { postgresqlVerifier } from './writers/postgresql-verifier.ts';
export { sqliteVerifier } from './writers/sqlite-verifier.ts';
export { recoverScripts, script, type ScriptOptions } from './writers/script.ts';
export { files } from './writers/files.ts';
export { mariadbKind, type MariadbKindOptions } from './writers/mariadb/kind.ts';
export { mariadbVerifier } from './writers/mariadb/verifier.ts';
export { redisKind, type RedisKindOptions } from './writers/redis/kind.ts';
export { redisVerifier } from './writers/redis/verifier.ts';
