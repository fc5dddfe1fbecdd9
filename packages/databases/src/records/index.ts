/** Which databases a cluster has: what each shall be, and what it is. */
export {
  type DatabaseEngine,
  type DatabasePhase,
  type DatabaseRecord,
  type DatabaseSource,
  type DatabaseState,
  type DesiredState,
  type FilesRecord,
  type FirstDatabaseRecord,
  MAIN,
  upgradeDatabase,
} from './database-record.ts';
export { DatabaseSecrets, type SecretStore, secretFile } from './database-secrets.ts';
export {
  type DatabaseChange,
  type DatabaseEntry,
  Databases,
  type DatabasesOptions,
  type NewDatabase,
  PORTS_FROM,
} from './databases.ts';
export {
  newSnapshotName,
  type SetCut,
  type SnapshotPhase,
  type SnapshotRecord,
  Snapshots,
  type SnapshotSet,
  type SnapshotsOptions,
  type SnapshotWish,
} from './snapshots.ts';
export { makeCheckpointEarly, type ServerLogin } from './early-checkpoint.ts';
export { RegistrySecrets } from './registry-secrets.ts';
export { applyPassword } from './role-password.ts';
export { judgeStateCopy, StateCopies, type StateCopy, type StateCopyVerdict } from './state-copies.ts';
