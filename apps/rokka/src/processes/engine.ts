/** What the head needs of an engine, and what it gives to one. */
import type { Clock, Random } from '@rokka/kernel';
import type { DatabaseEngine } from '@rokka/databases';
import type { Volume } from '@rokka/volume';
import type { HeadLegacy } from './legacy-fds.ts';
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
  /** With the engine `files`. */
  readonly files?: FilesWish;
  readonly volume: Volume;
  /** Where another head may take over. */
  readonly legacy?: HeadLegacy;
  /** The mount that goes on: the head before this one was killed. */
  readonly takesOver?: { readonly mountPoint: string };
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

/** What a volume without a server is to those who use it. */
export interface FilesDetail {
  /** More than that meets ENOSPC. */
  readonly sizeBytes: number;
  /** Where its files are seen; absent while nobody wants to see them. */
  readonly mountPoint?: string;
  /** Another head can go on from here when this one is killed, and who has files open there does not notice. */
  readonly canBeTakenOver?: boolean;
}

/** What a head that has the files of a server tells whoever runs that. */
export interface Mounted {
  /** Absolute, without symbolic links. */
  readonly mountPoint: string;
  /** Another head can go on from here when this one is killed. */
  readonly canBeTakenOver: boolean;
}

/** What is wanted of one. */
export interface FilesWish extends FilesDetail {
  /** Its files are a copy of the cluster's state, made whenever it is asked for. */
  readonly copiesState?: boolean;
}

export interface EngineStatus {
  readonly kind: DatabaseEngine;
  readonly version?: string;
  readonly postgresPid?: number;
  /** How often the engine was started again by its head. */
  readonly restarts: number;
  /** Counters of the engine's own, for people who look closer. */
  readonly details: unknown;
}

/** Holds everything that changes the volume. */
export interface Gate {
  /** From when this returns until `release`, nothing that comes is begun. */
  hold(): void;
  release(): void;
}

/** What a child does when it is asked to, by name; each answers with something. */
export type Duties = Readonly<Record<string, (argument: unknown) => Promise<object>>>;

export interface Engine extends AsyncDisposable {
  /** For whoever uses it. */
  readonly detail?: Connection | FilesDetail | Mounted | undefined;
  status(): EngineStatus;
  readonly duties?: Duties;
  /** Absent where writes do not come through a mount. */
  readonly gate?: Gate;
}
