/** A private MariaDB server for a test, and clients that write to it and keep what was acknowledged. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { MariadbSession } from '../mariadb/session.ts';
import type { PrivateServer } from '../private-server.ts';
import { startServer } from './store.ts';

export async function startMariadb(
  dataDirectory: string,
  args: readonly string[],
  signal: AbortSignal,
  { isInstalled = false } = {},
): Promise<PrivateServer> {
  const common = ['--no-defaults', `--datadir=${dataDirectory}`, `--tmpdir=${ownTemporaryDirectory()}`];
  const install = ['--user=mysql', '--auth-root-authentication-method=socket', '--skip-test-db'];
  if (!isInstalled) execFileSync('mariadb-install-db', [...common, ...install, ...args], { stdio: 'pipe' });
  return startServer({
    program: 'mariadbd',
    dataDirectory,
    args: (socket) => [
      ...common,
      `--socket=${socket}`,
      `--pid-file=${socket}.pid`,
      '--skip-networking',
      ...args,
    ],
    ready: /ready for connections/,
    signal,
  });
}

/** A server that starts removes what other servers have in the same one, also the temporary tables of those that run. */
function ownTemporaryDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-mariadb-'));
  fs.chmodSync(directory, 0o777);
  // A server that is started again by others has it still.
  process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function connect(server: PrivateServer, signal: AbortSignal): Promise<MariadbSession> {
  const address = { server: 'the test', socketPath: server.socketPath, user: os.userInfo().username };
  return MariadbSession.open(address, signal);
}

/** Empties the tables and inserts with two sessions into each, one row a statement, until it is disposed of. */
export class MariadbLoad implements AsyncDisposable {
  readonly acknowledged = new Map<string, number[]>();
  readonly #sessions: MariadbSession[] = [];
  readonly #work: Promise<void>[] = [];
  #stopped = false;

  static async start(
    server: PrivateServer,
    tables: readonly string[],
    signal: AbortSignal,
  ): Promise<MariadbLoad> {
    const load = new MariadbLoad();
    await using first = await connect(server, signal);
    for (const table of tables) await first.query(`TRUNCATE ${table}`, signal);
    for (const table of tables) {
      load.acknowledged.set(table, []);
      for (const first of [0, 1]) {
        const session = await connect(server, signal);
        load.#sessions.push(session);
        load.#work.push(load.#insert(session, { table, first, signal }));
      }
    }
    return load;
  }

  /** What is acknowledged by now. */
  state(): Map<string, number[]> {
    return new Map([...this.acknowledged].map(([table, ids]) => [table, [...ids]]));
  }

  get total(): number {
    return [...this.acknowledged.values()].reduce((sum, ids) => sum + ids.length, 0);
  }

  /** Resolves when so many more rows are acknowledged in each table. */
  async grows(rows: number, signal: AbortSignal): Promise<void> {
    const goal = new Map([...this.acknowledged].map(([table, ids]) => [table, ids.length + rows]));
    while ([...goal].some(([table, count]) => (this.acknowledged.get(table)?.length ?? 0) < count))
      await systemClock.sleep(10, signal);
  }

  async #insert(
    session: MariadbSession,
    options: { table: string; first: number; signal: AbortSignal },
  ): Promise<void> {
    const { table, first, signal } = options;
    for (let id = first; !this.#stopped; id += 2) {
      try {
        await session.query(`INSERT INTO ${table} VALUES (${id}, REPEAT('x', 100))`, signal);
        this.acknowledged.get(table)?.push(id);
      } catch {
        // The server is gone, as some tests want it: what was acknowledged stays.
        return;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.race([Promise.all(this.#work), systemClock.sleep(1000)]);
    for (const session of this.#sessions) session.drop();
    await Promise.all(this.#work);
  }
}
