/**
 * A Redis server on a restored copy. It refuses an append-only file that is cut off (aof-load-truncated=no) and a dump whose
 * checksum is wrong, so that it serves is the proof that there is nothing to repair. It writes nothing and follows nobody.
 */
import { existsSync } from 'node:fs';
import * as path from 'node:path';
import { RestoredServer } from '../restored-server.ts';
import { RedisClient } from './client.ts';

export interface RestoredRedisOptions {
  readonly directory: string;
  /** Names of files that are not the usual ones, such as `--dbfilename`, and further settings. */
  readonly args?: readonly string[];
  readonly program?: string;
  readonly signal: AbortSignal;
}

export interface RestoredRedis extends AsyncDisposable {
  readonly server: RestoredServer;
  readonly client: RedisClient;
  readonly keys: number;
}

/** @throws SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_COPY_DEAD */
export async function startRestoredRedis(options: RestoredRedisOptions): Promise<RestoredRedis> {
  const { directory, signal, args = [] } = options;
  const log = existsSync(path.join(directory, 'appendonlydir'));
  const server = await RestoredServer.start({
    program: options.program ?? 'redis-server',
    dataDirectory: directory,
    args: (socket) =>
      [
        '--port 0 --daemonize no --aof-load-truncated no --auto-aof-rewrite-percentage 0'.split(' '),
        ['--unixsocket', socket, '--dir', directory, '--save', '', '--appendonly', log ? 'yes' : 'no'],
        args,
      ].flat(),
    ready: /Ready to accept connections|now ready to accept connections/,
    signal,
  });
  try {
    const address = { server: `the copy in ${directory}`, at: { path: server.socketPath } };
    const client = await RedisClient.open(address, signal);
    const keys = Number(await client.command(['DBSIZE'], signal));
    return {
      server,
      client,
      keys,
      [Symbol.asyncDispose]: async () => {
        client.close();
        await server[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}
