/** What a shim holds: the head that writes the volume, where one is killed the next one, and the server on its mount. */
import { assert, systemClock } from '@rokka/kernel';
import {
  findAccount,
  findPostgres,
  initialisePostgres,
  stagePostgres,
  type PostgresStage,
} from '@rokka/databases';
import { SupervisedChild, type Launch } from '../child.ts';
import { dataPaths } from '../data-directory.ts';
import type { SpareProcess } from '../spare-process.ts';
import type { HeadDetail } from '../status.ts';
import type { ParentChannel } from './channel.ts';
import type { Connection, Duties, NativeFilesDetail } from './engine.ts';
import type { HeadProcessOptions } from './head-process.ts';
import type { MountRequest, WarmUpRequest } from './native-files.ts';
import { passwordOf } from './password.ts';
import type { StartSteps } from './start-steps.ts';
import { SupervisedPostgres } from './supervised-postgres.ts';

const HEAD_READY_MS = 600_000;
const HEAD_STOP_MS = 60_000;
const MOUNT_MS = 30_000;
const WARM_UP_MS = 5_000;
/** Whoever asks us has a deadline of its own; this is only so that no question stays for ever. */
const DUTY_MS = 3_600_000;

export interface ShimDatabaseParts {
  readonly options: HeadProcessOptions;
  readonly launch: Launch;
  readonly first: SpareProcess;
  fail(error: unknown): void;
}

export class ShimDatabase implements AsyncDisposable {
  readonly #channel: ParentChannel;
  readonly #parts: ShimDatabaseParts;
  readonly #head: SupervisedChild;
  readonly #resources = new AsyncDisposableStack();
  readonly #opening = new AbortController();
  /** Where the mount is; while it is known, another head may take it over. */
  #mountPoint: string | undefined;
  #postgres: SupervisedPostgres | undefined;
  #version = '';

  constructor(channel: ParentChannel, parts: ShimDatabaseParts) {
    this.#channel = channel;
    this.#parts = parts;
    const { options, launch, first, fail } = parts;
    this.#head = new SupervisedChild({
      ...launch,
      name: 'the volume process',
      awaitsBegin: true,
      spare: true,
      handedOver: first,
      argument: () => ({ ...options, ...this.#takesOver }),
      mayFollow: ({ signal, wasReady }) => signal !== null && wasReady && this.#mountPoint !== undefined,
      clock: systemClock,
      readyTimeoutMs: HEAD_READY_MS,
      stopTimeoutMs: HEAD_STOP_MS,
      onProgress: (text) => channel.send({ kind: 'progress', text }),
      onLog: (level, text) => channel.send({ kind: 'log', level, text }),
      onReady: (detail) => this.#onReady(detail as NativeFilesDetail),
      onFinal: (error) => fail(error),
    });
    this.#resources.use(this.#head);
    void channel.stopped.then(() => this.#opening.abort());
  }

  /** What the head is asked for, passed on to it. */
  get duties(): Duties {
    const ask = (what: string) => (argument: unknown) =>
      this.#head.ask(what, DUTY_MS, argument) as Promise<object>;
    return new Proxy<Duties>({}, { get: (_, what) => (typeof what === 'string' ? ask(what) : undefined) });
  }

  async start(steps: StartSteps): Promise<Connection> {
    const { options } = this.#parts;
    const progress = (text: string) => this.#channel.send({ kind: 'progress', text });
    // The stage is other programs' work, and goes on beside.
    const [stage] = await Promise.all([this.#makeStage(), this.#head.start()]);
    steps.done('volume and files');
    const { mountPoint } = stage;
    const request: MountRequest = { mountPoint };
    const mounted = (await this.#head.ask('mount', MOUNT_MS, request)) as NativeFilesDetail;
    if (mounted.canBeTakenOver) this.#mountPoint = mountPoint;
    steps.done('mount');
    const { userName: user, databaseName: database, resetPassword = false, directory, name, port } = options;
    const password = passwordOf(directory, name);
    const { signal } = this.#opening;
    await initialisePostgres({
      stage,
      password,
      resetPassword,
      user,
      database,
      clock: systemClock,
      onProgress: progress,
    });
    steps.done('data directory');
    signal.throwIfAborted();
    const { settings, memoryBytes } = options;
    this.#postgres = this.#resources.use(
      new SupervisedPostgres({
        stage,
        port,
        settings,
        ...(memoryBytes === undefined ? {} : { memoryBytes }),
        clock: systemClock,
        warmUp: () => this.#warmUp(stage),
        progress,
        log: (level, text) => this.#channel.send({ kind: 'log', level, text }),
        fail: (error) => this.#parts.fail(error),
      }),
    );
    await this.#postgres.start();
    steps.done('PostgreSQL');
    const socketDirectory = dataPaths.postgresSockets(directory);
    return { host: '127.0.0.1', port, user, database, socketDirectory };
  }

  /** Undefined while no head answers. */
  async status(): Promise<HeadDetail | undefined> {
    const detail = (await this.#head.status()) as HeadDetail | undefined;
    const { pid, restarts: takeOvers } = this.#head;
    if (!detail || pid === undefined) return undefined;
    const postgresPid = this.#postgres?.pid;
    const engine = {
      ...detail.engine,
      version: this.#version,
      restarts: this.#postgres?.restarts ?? 0,
      ...(postgresPid === undefined ? {} : { postgresPid }),
    };
    return { ...detail, engine, process: { pid, takeOvers }, shimBytes: process.memoryUsage.rss() };
  }

  /** The server first: what it writes last goes to the head. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  get #takesOver(): Pick<HeadProcessOptions, 'takesOver'> {
    return this.#mountPoint === undefined ? {} : { takesOver: { mountPoint: this.#mountPoint } };
  }

  /** Also of one that took over: from it another one may, in its turn. */
  #onReady({ canBeTakenOver }: NativeFilesDetail): void {
    if (this.#mountPoint === undefined) return;
    assert(canBeTakenOver, 'a mount that was taken over cannot be taken over again');
    this.#channel.send({
      kind: 'log',
      level: 'info',
      text: 'another volume process has taken the mount over',
    });
  }

  async #makeStage(): Promise<PostgresStage> {
    const { postgres, directory } = this.#parts.options;
    const binaries = await findPostgres(postgres === undefined ? {} : { directory: postgres });
    this.#version = binaries.version;
    return stagePostgres({
      binaries,
      account: findAccount(),
      runDirectory: dataPaths.postgresSockets(directory),
      needed: [directory],
    });
  }

  /** Nothing depends on it, so nobody waits for the answers. */
  #warmUp({ mountPoint, dataDirectory, major }: PostgresStage): Disposable {
    const request: WarmUpRequest = { mountPoint, dataDirectory, major };
    this.#head.ask('warm-up', WARM_UP_MS, request).catch(() => {});
    return {
      [Symbol.dispose]: () => void this.#head.ask('warm-up-over', WARM_UP_MS, {}).catch(() => {}),
    };
  }
}
