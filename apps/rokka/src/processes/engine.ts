/** What the head needs of an engine, and what it gives to one. */
import type { Clock, Random } from '@rokka/kernel';
import type { Volume } from '@rokka/volume';
import type { StartSteps } from './start-steps.ts';

export interface EngineStart {
  /** The data directory of the whole cluster. */
  readonly directory: string;
  readonly name: string;
  readonly databaseName: string;
  readonly userName: string;
  /** The server has a password that nobody knows: it gets that of the secret file. */
  readonly resetPassword?: boolean;
  /** From which PostgreSQL's own cache is sized; the machine's unless given. */
  readonly memoryBytes?: number;
  readonly volume: Volume;
  readonly port: number;
  readonly cacheBytes: number;
  readonly postgres?: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly steps: StartSteps;
  progress(text: string): void;
  log(level: 'info' | 'warn' | 'error', text: string): void;
  /** The engine cannot go on: the head ends. */
  fail(error: unknown): void;
}

export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Directory of the unix socket. */
  readonly socketDirectory: string;
}

export interface EngineStatus {
  readonly kind: 'native' | 'pglite';
  readonly version?: string;
  readonly postgresPid?: number;
  /** How often the engine was started again by its head. */
  readonly restarts: number;
  /** Counters of the engine's own, for people who look closer. */
  readonly details: unknown;
}

export interface Engine extends AsyncDisposable {
  readonly connection: Connection;
  status(): EngineStatus;
}
