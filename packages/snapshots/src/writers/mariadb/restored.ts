/**
 * A MariaDB server on a restored copy, and what it had to do to start: told by its own log, and by CHECK TABLE over all tables.
 *
 * Nothing that is on the copy says what it runs: it reads no option file, and without the grant tables neither those of plugins and of
 * functions; it runs no events and follows no primary. It repairs no table by itself, so that what is to be repaired is told. Whoever
 * reaches its socket may do anything, which is in a directory of its account's own.
 */
import * as os from 'node:os';
import { deadline } from '@rokka/kernel';
import { snapshotErrors } from '../../errors.ts';
import { requireSound } from '../copy-links.ts';
import { obeying } from '../obeying.ts';
import { socketIn, type PrivateServer } from '../private-server.ts';
import { programAt } from '../program.ts';
import { accountOfCopy, type CopiedVolumes, startRestoredServer } from '../restored-server.ts';
import type { MariadbCopy } from './copies.ts';
import { requireLinkFiles } from './link-files.ts';
import { MariadbSession } from './session.ts';
import { tablespaceSettings } from './tablespace.ts';

export interface RestoredMariadbOptions {
  readonly copy: MariadbCopy;
  readonly volumes: CopiedVolumes;
  readonly program?: string;
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
  readonly server: PrivateServer;
  readonly session: MariadbSession;
  readonly innodb: InnodbRecovery | null;
  /** Transactions in doubt between the binary log and InnoDB; those of XA clients count too. */
  readonly prepared: number;
  readonly tables: number;
  /** What CHECK TABLE found, and lines of the log that tell of damage; empty where all is well. */
  readonly faults: readonly string[];
}

const ERRORS_TOLD_MAX = 3;
const ENDS_MS_MAX = 1_000;

const SAFE = [
  '--skip-networking',
  '--skip-grant-tables',
  '--skip-log-bin',
  '--skip-slave-start',
  '--event-scheduler=DISABLED',
  '--aria-recover-options=OFF',
  '--myisam-recover-options=OFF',
  '--innodb-buffer-pool-load-at-startup=OFF',
  '--innodb-buffer-pool-dump-at-shutdown=OFF',
  // The copy is thrown away.
  '--innodb-fast-shutdown=2',
  '--max-connections=10',
];

/** @throws SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_PROGRAM_MISSING, SNAPSHOTS_RESTORED_BROKEN, SNAPSHOTS_SERVER_REFUSED */
export async function startRestoredMariadb(options: RestoredMariadbOptions): Promise<RestoredMariadb> {
  const { copy, volumes, signal } = options;
  const { what, directory: dataDirectory, home, elsewhere } = copy;
  await requireSound([dataDirectory, ...elsewhere], { what, volumes, signal });
  await requireLinkFiles(dataDirectory, { what, volumes, signal });
  const settings = [...copy.settings, ...(await obeying(tablespaceSettings(home), signal))];
  const server = await startRestoredServer({
    what,
    // The second name is that of versions before 10.5.
    program:
      options.program ??
      (await programAt(['/usr/sbin/mariadbd', '/usr/sbin/mysqld', '/usr/libexec/mariadbd'])),
    account: await accountOfCopy(dataDirectory, what),
    volumes,
    args: (directory) => [
      '--no-defaults',
      `--datadir=${dataDirectory}`,
      `--tmpdir=${directory}`,
      `--plugin-dir=${directory}`,
      `--socket=${socketIn(directory)}`,
      `--pid-file=${directory}/pid`,
      ...SAFE,
      ...settings,
    ],
    ready: /ready for connections/,
    failureIn: (log) => damageIn(log).slice(-ERRORS_TOLD_MAX).join('; ') || undefined,
    signal,
  });
  try {
    return await examined(server, { what, signal });
  } catch (error) {
    const hasEnded = !signal.aborted && (await endsSoon(server, what));
    const { words } = server;
    await server[Symbol.asyncDispose]();
    if (!hasEnded) throw error;
    throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN(
      [what, `its server ended while it was looked at (${(error as Error).message}): ${words}`],
      {
        cause: error,
      },
    );
  }
}

/** A page that is not whole may end a server, which is seen by the end of its session first. */
async function endsSoon(server: PrivateServer, what: string): Promise<boolean> {
  return deadline(server.exited, { what: `the end of ${what}`, ms: ENDS_MS_MAX }).then(
    () => true,
    () => false,
  );
}

async function examined(
  server: PrivateServer,
  { what, signal }: { what: string; signal: AbortSignal },
): Promise<RestoredMariadb> {
  const address = { server: what, socketPath: server.socketPath, user: os.userInfo().username };
  const session = await MariadbSession.open(address, signal);
  const { tables, faults } = await checkTables(session, signal);
  const inDoubt = await session.query('XA RECOVER', signal);
  const { log } = server;
  return {
    server,
    session,
    innodb: innodbRecovery(log),
    prepared: Math.max(preparedTransactions(log), inDoubt.length),
    tables,
    faults: [...damageIn(log), ...faults],
    [Symbol.asyncDispose]: async () => {
      session.drop();
      await server[Symbol.asyncDispose]();
    },
  };
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

/** All but views, so that one that cannot be opened is told too. */
async function checkTables(
  session: MariadbSession,
  signal: AbortSignal,
): Promise<{ tables: number; faults: string[] }> {
  const tables = await session.query(
    `SELECT CONCAT('\`', REPLACE(TABLE_SCHEMA, '\`', '\`\`'), '\`.\`', REPLACE(TABLE_NAME, '\`', '\`\`'), '\`') AS name
     FROM information_schema.TABLES WHERE COALESCE(TABLE_TYPE, '') NOT LIKE '%VIEW' AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')`,
    signal,
  );
  const faults: string[] = [];
  for (const { name } of tables) {
    for (const row of await session.query(`CHECK TABLE ${String(name)}`, signal)) {
      const words = String(row['Msg_text']);
      // An engine's note that it cannot be checked is no fault.
      if (row['Msg_type'] === 'note' || words === 'OK' || words === 'Table is already up to date') continue;
      faults.push(`${String(row['Table'])}: ${String(row['Msg_type'])}: ${words}`);
    }
  }
  return { tables: tables.length, faults };
}
