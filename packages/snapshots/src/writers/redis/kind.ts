/** Redis and Valkey servers that have their files on the volumes, found by their processes. */
import { systemClock, type Clock } from '@rokka/kernel';
import { snapshotErrors } from '../../errors.ts';
import type { DiscoverOptions, Writer, WriterKind } from '../../writer.ts';
import { Placement } from '../server-placement.ts';
import { serverProcesses, type ServerProcess } from '../server-processes.ts';
import type { RedisAddress } from './client.ts';
import { RedisWriter } from './writer.ts';

export interface RedisKindOptions {
  readonly user?: string;
  readonly password?: string;
  readonly clock?: Clock;
}

export function redisKind(options: RedisKindOptions = {}): WriterKind {
  return { name: 'redis', discover: (what) => discover(what, options) };
}

/** A server works in the directory that its files are in (`dir`). */
async function discover(what: DiscoverOptions, options: RedisKindOptions): Promise<readonly Writer[]> {
  const placement = await Placement.of(what);
  const { clock = systemClock, ...login } = options;
  const writers: Writer[] = [];
  for (const process of await serverProcesses(['redis-server', 'valkey-server'], what.signal)) {
    what.signal.throwIfAborted();
    if (!(await placement.holds(process.directory))) continue;
    const server = `${process.program} ${process.pid} at ${process.directory}`;
    const address = { server, at: addressOf(process, server), ...login };
    writers.push(new RedisWriter({ address, root: process.root, placement, clock }));
  }
  return writers;
}

/** The lowest port is the clients': that of a cluster's bus is higher by 10,000. */
export function addressOf(process: ServerProcess, server: string): RedisAddress['at'] {
  const [path] = process.sockets;
  if (path !== undefined) return { path };
  const port = Math.min(...process.ports);
  if (Number.isFinite(port)) return { port };
  throw snapshotErrors.SNAPSHOTS_SERVER_SILENT([server, 'it listens on no unix socket, nor on a port here']);
}
