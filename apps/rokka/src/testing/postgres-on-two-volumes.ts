/** A PostgreSQL whose data directory is on one volume and whose log is on the other, and what copies of both are worth. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describeError } from '@rokka/kernel';
import { PostgresServer, type ServerOptions } from '@rokka/snapshots/testing';
import { InsertLoad } from './insert-load.ts';
import { TransferLoad } from './transfer-load.ts';
import type { Pair } from './volume-pair.ts';

/**
 * With a cache that is much smaller than the tables, and checkpoints as often as there may be, pages are written all the time: so data and log
 * that show two moments need not fit together.
 */
const SETTINGS = { shared_buffers: '1MB', checkpoint_timeout: '30s' };

/** How many there must be, and how many there can be. */
export interface Bounds {
  readonly rows: Bound;
  readonly transfers: Bound;
}

interface Bound {
  readonly atLeast: number;
  readonly atMost: number;
}

export interface Worth {
  /** Of the log, that were read to recover; undefined where it does not start. */
  readonly redoBytes?: number;
  /** Which promise it does not keep. */
  readonly fault?: string | undefined;
}

export function optionsAt([data, log]: Pair<string>, programs: ServerOptions['programs']): ServerOptions {
  return {
    programs,
    dataDirectory: path.join(data, 'pgdata'),
    walDirectory: path.join(log, 'wal'),
    settings: SETTINGS,
  };
}

/** Starts a server on the copies, beside the one that they were made of. */
export async function worthOf(options: ServerOptions, bounds: Bounds): Promise<Worth> {
  const { dataDirectory, walDirectory = '' } = options;
  const link = path.join(dataDirectory, 'pg_wal');
  fs.unlinkSync(link);
  fs.symlinkSync(walDirectory, link);
  // It names a process that lives: that of the original.
  fs.rmSync(path.join(dataDirectory, 'postmaster.pid'));
  let server: PostgresServer;
  try {
    server = await PostgresServer.open(options);
  } catch (error) {
    return { fault: describeError(error) };
  }
  await using started = server;
  const { redoBytes } = started.recovery;
  return { redoBytes, fault: await faultIn(started, bounds).catch(describeError) };
}

/** @throws what the server cannot do */
async function faultIn(server: PostgresServer, { rows, transfers }: Bounds): Promise<string | undefined> {
  const client = await server.client();
  const books = await TransferLoad.books(client);
  // A page that is newer than the log can be read, and never written.
  await client.query('CHECKPOINT');
  const found = await InsertLoad.found(client);
  if (books.balances !== books.amounts)
    return `its accounts say ${books.balances}, and its transfers ${books.amounts}`;
  return outside('rows', found, rows) ?? outside('transfers', books.transfers, transfers);
}

function outside(what: string, found: number, { atLeast, atMost }: Bound): string | undefined {
  if (atLeast <= found && found <= atMost) return undefined;
  return `it has ${found} ${what}: ${atLeast} were acknowledged before, and ${atMost} begun`;
}
