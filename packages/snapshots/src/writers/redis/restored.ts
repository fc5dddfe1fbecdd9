/**
 * A Redis server on a restored copy. It refuses an append-only file that is cut off (aof-load-truncated=no) and a dump whose
 * checksum is wrong, so that it serves is the proof that there is nothing to repair. It writes no dump and follows nobody.
 *
 * It reads no configuration, so no modules and no list of accounts. But an append-only file is commands, which are carried out without asking
 * whose they are: those that load a library, change settings, reach another server or write files are taken from it, and a file that has one
 * is not loaded.
 */
import { snapshotErrors } from '../../errors.ts';
import { requireSound } from '../copy-links.ts';
import { socketIn, type PrivateServer } from '../private-server.ts';
import { programAt } from '../program.ts';
import { accountOfCopy, type CopiedVolumes, startRestoredServer } from '../restored-server.ts';
import { RedisClient } from './client.ts';
import type { RedisCopy } from './copies.ts';

export interface RestoredRedisOptions {
  readonly copy: RedisCopy;
  readonly volumes: CopiedVolumes;
  readonly program?: string;
  readonly signal: AbortSignal;
}

export interface RestoredRedis extends AsyncDisposable {
  readonly server: PrivateServer;
  readonly client: RedisClient;
  readonly keys: number;
}

const PROGRAMS: [string, ...string[]] = [
  '/usr/bin/redis-server',
  '/usr/bin/valkey-server',
  '/usr/local/bin/redis-server',
  '/usr/local/bin/valkey-server',
];

const WARNINGS_TOLD_MAX = 2;

/** Of version 6 and newer, as the writer asks for. */
const FORBIDDEN =
  'MODULE CONFIG ACL DEBUG SLAVEOF REPLICAOF SYNC PSYNC MIGRATE CLUSTER SAVE BGSAVE BGREWRITEAOF SHUTDOWN'.split(
    ' ',
  );

const SAFE = [
  '--port 0 --daemonize no --unixsocketperm 700 --rdbchecksum yes --sanitize-dump-payload yes'.split(' '),
  '--aof-load-truncated no --auto-aof-rewrite-percentage 0 --appendfsync no'.split(' '),
  ['--save', ''],
  ...FORBIDDEN.map((command) => ['--rename-command', command, '']),
].flat();

/** @throws SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_PROGRAM_MISSING, SNAPSHOTS_RESTORED_BROKEN */
export async function startRestoredRedis(options: RestoredRedisOptions): Promise<RestoredRedis> {
  const { copy, volumes, signal } = options;
  const { what, kind, directory, owned, isDirectory, settings } = copy;
  if (isDirectory) await requireSound([owned], { what, volumes, signal });
  const server = await startRestoredServer({
    what,
    program: options.program ?? (await programAt(PROGRAMS)),
    account: await accountOfCopy(owned, what),
    volumes,
    args: (own) => [
      '--unixsocket',
      socketIn(own),
      '--dir',
      directory,
      '--appendonly',
      kind === 'log' ? 'yes' : 'no',
      ...SAFE,
      ...settings,
    ],
    ready: /ready to accept connections/i,
    failureIn,
    signal,
  });
  try {
    // A dump that is not there any more would be no fault to it.
    if (kind === 'dump' && !/DB loaded from/.test(server.log))
      throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([what, 'its server has not loaded it']);
    const client = await RedisClient.open({ server: what, at: { path: server.socketPath } }, signal);
    const keys = await keysOf(client, signal);
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

/** Of `pid:role time # words`, its last warnings (`#`; other levels are `.`, `-` and `*`), without those on the machine. */
export function failureIn(log: string): string | undefined {
  const warnings = [...log.matchAll(/^\d+:[A-Z] .*? # (?!WARNING)(.*)$/gm)].map(([, words]) => words);
  return warnings.slice(-WARNINGS_TOLD_MAX).join('; ') || undefined;
}

/** Of all databases: `db0:keys=3,expires=0,avg_ttl=0`. */
async function keysOf(client: RedisClient, signal: AbortSignal): Promise<number> {
  const info = await client.info(signal);
  return Object.entries(info)
    .filter(([name]) => /^db\d+$/.test(name))
    .reduce((sum, [, value]) => sum + Number(/^keys=(\d+)/.exec(value)?.[1]), 0);
}
