/** Native PostgreSQL on a mount that only its head can see. */
export { findAccount, type Account } from './account.ts';
export { findPostgres, POSTGRES_MAJOR_MIN, type PostgresBinaries } from './binaries.ts';
export { type Command } from './command.ts';
export {
  connectionString,
  passwordFile,
  serviceFile,
  writeClientFiles,
  type ClientFiles,
  type ConnectionTarget,
} from './connection.ts';
export {
  generatePassword,
  initialisePostgres,
  type Initialised,
  type InitialisePostgresOptions,
} from './initialise.ts';
export { type LogLevel, type LogLine } from './log-line.ts';
export {
  mountPrivilege,
  namespaceCommand,
  requirePrivateNamespace,
  type MountPrivilege,
  type NamespaceOptions,
} from './namespace.ts';
export { isPortFree } from './port.ts';
export { MountedFiles } from './mounted-files.ts';
export { prefetchRedo, type DatabaseFiles, type RedoPrefetch } from './redo-prefetch.ts';
export { probeReadiness, type Readiness } from './readiness.ts';
export { NativePostgres, type NativePostgresOptions, type PostgresExit, type StopMode } from './postgres.ts';
export { probeNativeSupport, type NativeSupport, type Obstacle, type ProbeOptions } from './probe.ts';
export { chosenSettings, ownedSettings, type Setting, type SettingsContext } from './settings.ts';
export {
  privateSharedMemory,
  stagePostgres,
  type PostgresStage,
  type StagePostgresOptions,
} from './stage.ts';
