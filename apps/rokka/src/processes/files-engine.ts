/**
 * A volume without a server: its files, mounted where the machine's programs see them, or only open while nobody wants them.
 *
 * The mount is in the machine's own mount namespace. When this process is killed, its shim has another one take the mount over. When both
 * are, programs that have files open get errors (ENOTCONN), as of a disk that was pulled; the next ones take the dead mount away and
 * mount anew at the same place.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { assert, deadline, describeError, must } from '@rokka/kernel';
import { FileSystemHandler, FuseServer } from '@rokka/fuse';
import { PageCache } from '@rokka/volume';
import { rokkaErrors } from '../errors.ts';
import type { Engine, EngineStart, FilesDetail } from './engine.ts';
import { openFilesystem } from './open-filesystem.ts';
import { copyState } from './state-copy.ts';

const LAST_WRITES_MS = 60_000;

export async function startFilesEngine(start: EngineStart): Promise<Engine> {
  const { volume, progress, steps, files } = start;
  assert(files, 'files without a size');
  const resources = new AsyncDisposableStack();
  try {
    const cache = new PageCache(volume, { sizeBytes: start.cacheBytes });
    progress('reading the filesystem');
    const filesystem = await openFilesystem(cache, start);
    // After the mount has gone nothing else changes the volume: all of it must be durable before the writer closes.
    resources.defer(() => cache.whenDurable(filesystem.syncAll()));
    let { sizeBytes } = files;
    filesystem.limitBytes = sizeBytes;
    steps.done('filesystem');
    const handler = new FileSystemHandler({ filesystem, store: cache });
    const { mountPoint } = files;
    const onUnmounted = () => cache.whenDurable(filesystem.syncAll());
    const server =
      mountPoint === undefined
        ? undefined
        : await mountAt(mountPoint, { start, handler, resources, onUnmounted });
    steps.done('mount');
    const detail = (): FilesDetail => ({
      sizeBytes,
      ...(server && { mountPoint: server.mountPoint, canBeTakenOver: server.canBeTakenOver }),
    });
    return {
      detail: detail(),
      duties: {
        resize: async (wanted) => {
          ({ sizeBytes } = wanted as { sizeBytes: number });
          filesystem.limitBytes = sizeBytes;
          return detail();
        },
        ...(files.copiesState && {
          'copy-state': async () => copyState({ ...start, filesystem, store: cache }),
        }),
      },
      gate: {
        hold: () => server?.hold(),
        release: () => server?.release(),
      },
      status: () => ({
        kind: 'files',
        restarts: 0,
        details: { ...detail(), cache: cache.usage, ...(server && { fuse: server.statistics() }) },
      }),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

async function mountAt(
  mountPoint: string,
  of: {
    start: EngineStart;
    handler: FileSystemHandler;
    resources: AsyncDisposableStack;
    /** Resolves when all that was written is durable. */
    onUnmounted(): Promise<void>;
  },
): Promise<FuseServer> {
  const { start, handler, resources, onUnmounted } = of;
  const { device: fd, legacy } = must(start.legacy);
  if (!start.takesOver) await makeDirectory(mountPoint);
  // What was made for the mount goes with it; a directory that somebody put files into stays.
  resources.defer(() => fs.rmdir(mountPoint).catch(() => {}));
  const options = {
    handler,
    mountPoint,
    clock: start.clock,
    log: (line: string) => start.log('warn', line),
    source: start.name,
    cache: 'kernel',
    fd,
    legacy,
  } as const;
  const server = resources.use(
    start.takesOver ? FuseServer.takeOver(options) : await FuseServer.mount(options),
  );
  void server.ended.then((end) => {
    if (end.kind === 'failed') start.fail(end.error);
    else if (!start.signal.aborted) void unmountedByHand();
  });
  // Whoever wants the volume elsewhere detaches it. What was written counts all the same, as with any filesystem.
  const unmountedByHand = async () => {
    const { clock } = start;
    const durable = deadline(onUnmounted(), { what: 'the last writes', ms: LAST_WRITES_MS, clock });
    await durable.catch((error: unknown) => start.log('warn', describeError(error)));
    start.fail(rokkaErrors.ROKKA_UNMOUNTED([mountPoint]));
  };
  return server;
}

/** Never looks at the directory itself: a dead mount may lie there. */
async function makeDirectory(mountPoint: string): Promise<void> {
  await fs.mkdir(path.dirname(mountPoint), { recursive: true, mode: 0o755 });
  try {
    await fs.mkdir(mountPoint, { mode: 0o755 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
