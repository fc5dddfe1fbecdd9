/**
 * Native PostgreSQL in the head: page cache, filesystem and mount here, the server confined beside it. If only the server
 * dies it is started again; if the mount fails, the head fails.
 */
import * as path from 'node:path';
import { Deferred, describeError, PAGE_SIZE } from '@rokka/kernel';
import type { FileSystem } from '@rokka/filesystem';
import { FileSystemHandler, FuseServer } from '@rokka/fuse';
import { PageCache } from '@rokka/volume';
import {
  findAccount,
  findPostgres,
  initialisePostgres,
  MountedFiles,
  NativePostgres,
  prefetchRedo,
  stagePostgres,
  type PostgresStage,
} from '@rokka/databases';
import { dataPaths } from '../data-directory.ts';
import type { Engine, EngineStart } from './engine.ts';
import { openFilesystem } from './open-filesystem.ts';
import { passwordOf } from './password.ts';

const RESTART_PAUSE_MS = 200;
const RESTART_PAUSE_MS_MAX = 5_000;
/** A server that ran for so long was well: the next one starts at once. */
const WELL_AFTER_MS = 2_000;

export async function startNativeEngine(start: EngineStart): Promise<Engine> {
  const { volume, clock, progress, signal, steps } = start;
  const resources = new AsyncDisposableStack();
  try {
    const cache = new PageCache(volume, { sizeBytes: start.cacheBytes });
    progress('reading the filesystem');
    // The stage is other programs' work, and goes on beside.
    const [filesystem, { place, version }] = await Promise.all([
      openFilesystem(cache, start),
      makeStage(start),
    ]);
    // After the mount has gone nothing else changes the volume: all of it must be durable before the writer closes.
    resources.defer(() => cache.whenDurable(filesystem.syncAll()));
    steps.done('filesystem');
    const server = resources.use(
      await FuseServer.mount({
        handler: new FileSystemHandler({ filesystem, store: cache }),
        mountPoint: place.mountPoint,
        clock,
        log: (line) => start.log('warn', line),
      }),
    );
    steps.done('mount');
    const { userName: user, databaseName: database, resetPassword = false } = start;
    await initialisePostgres({
      stage: place,
      password: passwordOf(start.directory, start.name),
      resetPassword,
      user,
      database,
      clock,
      onProgress: progress,
    });
    steps.done('data directory');
    signal.throwIfAborted();
    const warm = () => warmUp({ cache, filesystem, stage: place, start });
    const postgres = resources.use(new SupervisedPostgres(start, { place, warm }));
    await postgres.start();
    steps.done('PostgreSQL');
    void server.ended.then((end) => {
      if (end.kind === 'failed') start.fail(end.error);
    });
    return {
      detail: {
        host: '127.0.0.1',
        port: start.port,
        user,
        database,
        socketDirectory: dataPaths.postgresSockets(start.directory),
      },
      status: () => ({
        kind: 'native',
        version,
        ...(postgres.pid === undefined ? {} : { postgresPid: postgres.pid }),
        restarts: postgres.restarts,
        details: { fuse: server.statistics(), cache: cache.usage },
      }),
      gate: {
        hold: () => server.hold(),
        release: () => server.release(),
      },
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

async function makeStage(start: EngineStart): Promise<{ place: PostgresStage; version: string }> {
  const binaries = await findPostgres(start.postgres === undefined ? {} : { directory: start.postgres });
  const place = await stagePostgres({
    binaries,
    account: findAccount(),
    runDirectory: dataPaths.postgresSockets(start.directory),
    needed: [start.directory],
  });
  return { place, version: binaries.version };
}

/** Begins to fetch what recovery will read. Nothing depends on it: clients only wait for longer without it. */
function warmUp(of: {
  cache: PageCache;
  filesystem: FileSystem;
  stage: PostgresStage;
  start: EngineStart;
}): Disposable {
  const { cache, filesystem, stage, start } = of;
  const { log, clock } = start;
  const startedMs = clock.nowMs();
  const over = new AbortController();
  const directory = path.relative(stage.mountPoint, stage.dataDirectory);
  // The other half stays for what recovery reads besides.
  const blocksMax = Math.floor(start.cacheBytes / PAGE_SIZE / 2);
  prefetchRedo(new MountedFiles({ filesystem, cache, directory }), {
    major: stage.major,
    blocksMax,
    clock,
    signal: over.signal,
  }).then(
    ({ blocks, logBytes }) => {
      if (blocks === 0) return;
      const mib = (logBytes / 2 ** 20).toFixed(1);
      log(
        'info',
        `fetched ${blocks} blocks of ${mib} MiB of WAL in ${Math.round(clock.nowMs() - startedMs)} ms`,
      );
    },
    (error: unknown) => {
      if (!over.signal.aborted) log('info', `recovery is not helped: ${describeError(error)}`);
    },
  );
  return { [Symbol.dispose]: () => over.abort() };
}

/** The server, started again when it ends by itself. */
class SupervisedPostgres implements AsyncDisposable {
  readonly #start: EngineStart;
  readonly #stage: PostgresStage;
  readonly #warm: () => Disposable;
  readonly #stopping = new Deferred<void>();
  #server: NativePostgres | undefined;
  #loop: Promise<void> | undefined;
  #restarts = 0;
  #stopped = false;

  /** @param options.warm called before each start of the server; what it gives is ended when the server is ready */
  constructor(start: EngineStart, options: { place: PostgresStage; warm: () => Disposable }) {
    this.#start = start;
    this.#stage = options.place;
    this.#warm = options.warm;
  }

  get pid(): number | undefined {
    return this.#server?.running ? this.#server.pid : undefined;
  }

  get restarts(): number {
    return this.#restarts;
  }

  async start(): Promise<void> {
    this.#server = await this.#launch();
    this.#loop = this.#watch().catch((error: unknown) => {
      // A start that failed because everything ends is no failure.
      if (!this.#stopped) this.#start.fail(error);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#stopping.resolve();
    await this.#server?.stop('fast');
    await this.#loop;
  }

  async #watch(): Promise<void> {
    const { clock, log } = this.#start;
    let pauseMs = RESTART_PAUSE_MS;
    while (!this.#stopped) {
      const startedMs = clock.nowMs();
      const exit = await this.#server?.exited;
      if (this.#stopped) return;
      log(
        'warn',
        `PostgreSQL ended (${exit?.how}): ${exit?.error ? describeError(exit.error) : 'by itself'}; starting it again`,
      );
      if (clock.nowMs() - startedMs > WELL_AFTER_MS) pauseMs = RESTART_PAUSE_MS;
      else {
        await Promise.race([clock.sleep(pauseMs), this.#stopping.promise]);
        pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MS_MAX);
      }
      if (this.#stopped) return;
      this.#restarts++;
      this.#server = await this.#launch();
      // Told to stop while it was starting.
      if (this.#stopped) await this.#server.stop('fast');
    }
  }

  async #launch(): Promise<NativePostgres> {
    const { port, settings, memoryBytes, clock, log, progress } = this.#start;
    using _warming = this.#warm();
    return await NativePostgres.start({
      stage: this.#stage,
      port,
      settings,
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      clock,
      onProgress: progress,
      onLine: (line) => {
        if (line.level === 'fatal' || line.level === 'panic') log('warn', `PostgreSQL: ${line.message}`);
      },
    });
  }
}
