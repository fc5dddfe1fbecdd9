/** The embedded engine: PGlite in a worker, behind a PostgreSQL wire server. */
export { EmbeddedDatabase, type EmbeddedOptions, type Queryable } from './embedded-database.ts';
export { Engine, type EngineOptions } from './engine.ts';
export type { EnginePages } from './engine-life.ts';
export { WireServer, type ListenAddress, type WireServerOptions } from './wire-server.ts';
export type { DutyOptions } from './background-duties.ts';
