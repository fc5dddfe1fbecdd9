/**
 * The files of a PostgreSQL in its head: page cache, filesystem, and the session with the kernel. The device, the server and all that
 * must outlive the head are its shim's (shim-process.ts), which tells when to mount. If the mount fails, the head fails.
 */
import * as path from 'node:path';
import { describeError, must, PAGE_SIZE } from '@rokka/kernel';
import type { FileSystem } from '@rokka/filesystem';
import { FileSystemHandler, FuseServer, type FuseServerOptions, type Legacy } from '@rokka/fuse';
import { PageCache } from '@rokka/volume';
import { MountedFiles, prefetchRedo } from '@rokka/databases';
import { rokkaErrors } from '../errors.ts';
import type { Engine, EngineStart, Mounted } from './engine.ts';
import { openFilesystem } from './open-filesystem.ts';

/** What `mount` is asked with. */
export interface MountRequest {
  readonly mountPoint: string;
}

/** What `warm-up` is asked with: a server is about to start, and will recover. */
export interface WarmUpRequest {
  readonly mountPoint: string;
  readonly dataDirectory: string;
  readonly major: number;
}

export async function startNativeFiles(start: EngineStart): Promise<Engine> {
  const { volume, progress, steps, takesOver } = start;
  const resources = new AsyncDisposableStack();
  try {
    const cache = new PageCache(volume, { sizeBytes: start.cacheBytes });
    progress('reading the filesystem');
    const filesystem = await openFilesystem(cache, start);
    // After the mount has gone nothing else changes the volume: all of it must be durable before the writer closes.
    resources.defer(() => cache.whenDurable(filesystem.syncAll()));
    steps.done('filesystem');
    const serve = serverOf({ start, filesystem, cache });
    let server = takesOver && resources.use(serve.takeOver(takesOver.mountPoint));
    if (takesOver) steps.done('mount');
    const warmUps = resources.use(new WarmUps({ cache, filesystem, start }));
    return {
      detail: server && mountedBy(server),
      duties: {
        mount: async (request) => {
          server = resources.use(await serve.mount((request as MountRequest).mountPoint));
          return mountedBy(server);
        },
        'warm-up': async (request) => warmUps.begin(request as WarmUpRequest),
        'warm-up-over': async () => warmUps.end(),
      },
      status: () => ({
        kind: 'native',
        restarts: 0,
        details: { cache: cache.usage, ...(server && { fuse: server.statistics() }) },
      }),
      gate: {
        hold: () => server?.hold(),
        release: () => server?.release(),
      },
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

function mountedBy({ mountPoint, canBeTakenOver }: FuseServer): Mounted {
  return { mountPoint, canBeTakenOver };
}

function serverOf(of: { start: EngineStart; filesystem: FileSystem; cache: PageCache }) {
  const { start, filesystem, cache } = of;
  const { device: fd, legacy } = must(start.legacy);
  const options: Omit<FuseServerOptions, 'mountPoint'> & { fd: number; legacy: Legacy } = {
    handler: new FileSystemHandler({ filesystem, store: cache }),
    fd,
    legacy,
    clock: start.clock,
    log: (line) => start.log('warn', line),
  };
  const watched = (server: FuseServer) => {
    void server.ended.then((end) => {
      if (end.kind === 'failed') start.fail(end.error);
      // Not by us: we are not told to stop.
      else if (!start.signal.aborted) start.fail(rokkaErrors.ROKKA_UNMOUNTED([server.mountPoint]));
    });
    return server;
  };
  return {
    mount: async (mountPoint: string) => watched(await FuseServer.mount({ ...options, mountPoint })),
    takeOver: (mountPoint: string) => watched(FuseServer.takeOver({ ...options, mountPoint })),
  };
}

/** Fetches what a recovery will read. Nothing depends on it: clients only wait for longer without it. */
class WarmUps implements Disposable {
  readonly #of: { cache: PageCache; filesystem: FileSystem; start: EngineStart };
  #over = new AbortController();

  constructor(of: { cache: PageCache; filesystem: FileSystem; start: EngineStart }) {
    this.#of = of;
  }

  begin({ mountPoint, dataDirectory, major }: WarmUpRequest): object {
    this.#over.abort();
    const { cache, filesystem, start } = this.#of;
    const { log, clock } = start;
    const startedMs = clock.nowMs();
    const over = (this.#over = new AbortController());
    const directory = path.relative(mountPoint, dataDirectory);
    // The other half stays for what recovery reads besides.
    const blocksMax = Math.floor(start.cacheBytes / PAGE_SIZE / 2);
    const files = new MountedFiles({ filesystem, cache, directory });
    prefetchRedo(files, { major, blocksMax, clock, signal: over.signal }).then(
      ({ blocks, logBytes }) => {
        if (blocks === 0) return;
        const tookMs = Math.round(clock.nowMs() - startedMs);
        log(
          'info',
          `fetched ${blocks} blocks of ${(logBytes / 2 ** 20).toFixed(1)} MiB of WAL in ${tookMs} ms`,
        );
      },
      (error: unknown) => {
        if (!over.signal.aborted) log('info', `recovery is not helped: ${describeError(error)}`);
      },
    );
    return {};
  }

  end(): object {
    this.#over.abort();
    return {};
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }
}
