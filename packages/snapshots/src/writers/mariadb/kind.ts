/** MariaDB servers that have something on the volumes, found by their processes and asked through their unix sockets. */
import * as os from 'node:os';
import { systemClock, type Clock } from '@rokka/kernel';
import { snapshotErrors } from '../../errors.ts';
import type { DiscoverOptions, Writer, WriterKind } from '../../writer.ts';
import { Placement } from '../server-placement.ts';
import { serverProcesses, type ServerProcess } from '../server-processes.ts';
import { MariadbWriter } from './writer.ts';

export interface MariadbKindOptions {
  /** The account; without it that of this process, which unix_socket authentication lets in (root by Debian's default). */
  readonly user?: string;
  readonly password?: string;
  readonly clock?: Clock;
}

export function mariadbKind(options: MariadbKindOptions = {}): WriterKind {
  return { name: 'mariadb', discover: (what) => discover(what, options) };
}

/** A server belongs to the volumes by its data directory, in which it works; identify tells whether all the rest is there too. */
async function discover(what: DiscoverOptions, options: MariadbKindOptions): Promise<readonly Writer[]> {
  const placement = await Placement.of(what);
  const writers: Writer[] = [];
  for (const server of await serverProcesses(['mariadbd', 'mysqld'], what.signal)) {
    what.signal.throwIfAborted();
    if (await placement.holds(server.directory))
      writers.push(
        new MariadbWriter({
          address: {
            server: `MariaDB ${server.pid} at ${server.directory}`,
            socketPath: socketOf(server),
            user: options.user ?? os.userInfo().username,
            ...(options.password === undefined ? {} : { password: options.password }),
          },
          root: server.root,
          placement,
          clock: options.clock ?? systemClock,
        }),
      );
  }
  return writers;
}

function socketOf(server: ServerProcess): string {
  const socket = server.sockets[0];
  if (socket === undefined)
    throw snapshotErrors.SNAPSHOTS_SERVER_SILENT([
      `MariaDB ${server.pid} at ${server.directory}`,
      'it listens on no unix socket',
    ]);
  return socket;
}
