/** A PostgreSQL of Rokka's own on a mount that its shim keeps: its stage, its data directory, and the server. */
import { systemClock } from '@rokka/kernel';
import {
  findAccount,
  findPostgres,
  initialisePostgres,
  stagePostgres,
  type PostgresStage,
} from '@rokka/databases';
import { dataPaths } from '../data-directory.ts';
import type { ParentChannel } from './channel.ts';
import type { Connection, EngineStatus } from './engine.ts';
import type { HeadProcessOptions } from './head-process.ts';
import type { WarmUpRequest } from './native-files.ts';
import { passwordOf } from './password.ts';
import type { StartSteps } from './start-steps.ts';
import { SupervisedPostgres } from './supervised-postgres.ts';

export interface NativeServerOptions {
  readonly options: HeadProcessOptions;
  readonly channel: ParentChannel;
  readonly signal: AbortSignal;
  /** Before each start of the server: what it will read is fetched, until what this gives is disposed of. */
  warmUp(request: WarmUpRequest): Disposable;
  fail(error: unknown): void;
}

export interface PreparedStage {
  readonly stage: PostgresStage;
  readonly version: string;
}

/**
 * Makes the place for a server, of whichever database: it may be long until there is one.
 * @throws DATABASE_BINARIES_*, what `stagePostgres` throws
 */
export async function prepareStage({
  postgres,
  directory,
}: Pick<HeadProcessOptions, 'postgres' | 'directory'>): Promise<PreparedStage> {
  const binaries = await findPostgres(postgres === undefined ? {} : { directory: postgres });
  const stage = await stagePostgres({
    binaries,
    account: findAccount(),
    runDirectory: dataPaths.postgresSockets(directory),
    needed: [directory],
  });
  return { stage, version: binaries.version };
}

export class NativeServer implements AsyncDisposable {
  readonly #of: NativeServerOptions;
  readonly #stage: PostgresStage;
  readonly #version: string;
  #postgres: SupervisedPostgres | undefined;

  private constructor(of: NativeServerOptions, stage: PostgresStage, version: string) {
    this.#of = of;
    this.#stage = stage;
    this.#version = version;
  }

  static async prepare(of: NativeServerOptions, prepared: Promise<PreparedStage>): Promise<NativeServer> {
    const { stage, version } = await prepared;
    return new NativeServer(of, stage, version);
  }

  /** Where the volume is to be mounted before the start. */
  get mountPoint(): string {
    return this.#stage.mountPoint;
  }

  get status(): Pick<EngineStatus, 'version' | 'postgresPid' | 'restarts'> {
    const postgresPid = this.#postgres?.pid;
    return {
      version: this.#version,
      restarts: this.#postgres?.restarts ?? 0,
      ...(postgresPid === undefined ? {} : { postgresPid }),
    };
  }

  /** @throws what initialisePostgres and NativePostgres.start throw, the signal's reason */
  async start(steps: StartSteps): Promise<Connection> {
    const { options, channel, signal, warmUp, fail } = this.#of;
    const { directory, name, port, settings, memoryBytes } = options;
    const { userName: user, databaseName: database, resetPassword = false } = options;
    const stage = this.#stage;
    const progress = (text: string) => channel.send({ kind: 'progress', text });
    await initialisePostgres({
      stage,
      password: passwordOf(directory, name),
      resetPassword,
      user,
      database,
      clock: systemClock,
      onProgress: progress,
    });
    steps.done('data directory');
    signal.throwIfAborted();
    const { mountPoint, dataDirectory, major } = stage;
    this.#postgres = new SupervisedPostgres({
      stage,
      port,
      settings,
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      clock: systemClock,
      warmUp: () => warmUp({ mountPoint, dataDirectory, major }),
      progress,
      log: (level, text) => channel.send({ kind: 'log', level, text }),
      fail,
    });
    await this.#postgres.start();
    steps.done('PostgreSQL');
    const socketDirectory = dataPaths.postgresSockets(directory);
    return { host: '127.0.0.1', port, user, database, socketDirectory };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres?.[Symbol.asyncDispose]();
  }
}
