/**
 * A MariaDB server on a restored copy, and what it had to do to start: told by its own log, and by CHECK TABLE over all tables.
 * It runs no events, follows no primary and listens on a private socket only.
 */
import * as os from 'node:os';
import { RestoredServer } from '../restored-server.ts';
import { MariadbSession } from './session.ts';

export interface RestoredMariadbOptions {
  readonly dataDirectory: string;
  /** Settings whose paths are other ones for the copy, such as `--log-bin=…`; no option file is read. */
  readonly args?: readonly string[];
  readonly program?: string;
  readonly user?: string;
  readonly signal: AbortSignal;
}

/** What the log says of InnoDB's recovery; null where it had none. */
export interface InnodbRecovery {
  readonly fromLsn: number;
  readonly toLsn: number;
  /** Of transactions that were open when the copy was made. */
  readonly rolledBack: number;
}

export interface RestoredMariadb extends AsyncDisposable {
  readonly server: RestoredServer;
  readonly session: MariadbSession;
  readonly innodb: InnodbRecovery | null;
  /** Transactions in doubt between the binary log and InnoDB; those of XA clients count too. */
  readonly prepared: number;
  /** What CHECK TABLE found, and lines of the log that tell of damage; empty where all is well. */
  readonly faults: readonly string[];
}

/** @throws SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_COPY_DEAD, SNAPSHOTS_SERVER_REFUSED */
export async function startRestoredMariadb(options: RestoredMariadbOptions): Promise<RestoredMariadb> {
  const { dataDirectory, signal } = options;
  const server = await RestoredServer.start({
    program: options.program ?? 'mariadbd',
    dataDirectory,
    args: (socket) => [
      '--no-defaults',
      `--datadir=${dataDirectory}`,
      `--socket=${socket}`,
      `--pid-file=${socket}.pid`,
      '--skip-networking',
      '--skip-slave-start',
      '--event-scheduler=OFF',
      ...(options.args ?? []),
    ],
    ready: /ready for connections/,
    signal,
  });
  try {
    const user = options.user ?? os.userInfo().username;
    const address = { server: `the copy in ${dataDirectory}`, socketPath: server.socketPath, user };
    const session = await MariadbSession.open(address, signal);
    const checked = await checkTables(session, signal);
    const { log } = server;
    return {
      server,
      session,
      innodb: innodbRecovery(log),
      prepared: preparedTransactions(log),
      faults: [...damageIn(log), ...checked],
      [Symbol.asyncDispose]: async () => {
        session.drop();
        await server[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

export function innodbRecovery(log: string): InnodbRecovery | null {
  const from = /Starting crash recovery from checkpoint LSN=(\d+)/.exec(log)?.[1];
  if (from === undefined) return null;
  return {
    fromLsn: Number(from),
    toLsn: Number(/End of log at LSN=(\d+)/.exec(log)?.[1] ?? from),
    rolledBack: Number(/(\d+) transaction\(s\) which must be rolled back/.exec(log)?.[1] ?? 0),
  };
}

export function preparedTransactions(log: string): number {
  return Number(/Found (\d+) prepared transaction/.exec(log)?.[1] ?? 0);
}

/** Lines of the log that tell of tables or pages that are not whole, whichever engine writes them. */
export function damageIn(log: string): string[] {
  const telling =
    /\[ERROR\]|should be repaired|marked as crashed|not closed properly|Recovering table|Checking table|corrupt|doublewrite.*restor/i;
  return log.split('\n').filter((line) => telling.test(line));
}

async function checkTables(session: MariadbSession, signal: AbortSignal): Promise<string[]> {
  const tables = await session.query(
    `SELECT CONCAT('\`', REPLACE(TABLE_SCHEMA, '\`', '\`\`'), '\`.\`', REPLACE(TABLE_NAME, '\`', '\`\`'), '\`') AS name
     FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')`,
    signal,
  );
  const faults: string[] = [];
  for (const { name } of tables) {
    for (const row of await session.query(`CHECK TABLE ${String(name)}`, signal)) {
      const words = String(row['Msg_text']);
      // A view's or an engine's note that it cannot be checked is no fault.
      if (row['Msg_type'] === 'note' || words === 'OK' || words === 'Table is already up to date') continue;
      faults.push(`${String(row['Table'])}: ${String(row['Msg_type'])}: ${words}`);
    }
  }
  return faults;
}
