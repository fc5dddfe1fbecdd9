/** Snapshots in which applications have nothing to recover. */
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
export {
  FREEZE_MS_MAX,
  HOLD_MS_MAX,
  type Provider,
  type SnapshotOfVolume,
  type SnapshotSetResult,
} from './provider.ts';
export { snapshotErrors } from './errors.ts';
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
