/**
 * One session with a MariaDB server. Its locks live as long as it does: whoever drops it, or dies, holds nothing any more.
 *
 * The server notices the end of an idle session at once, and of one that waits for a lock within a second (MDL_context::acquire_lock
 * looks at the socket). So a session is dropped by closing its socket, which needs no answer from a server that may give none;
 * the driver's own `destroy` would first connect anew.
 */
import * as net from 'node:net';
import * as mariadb from 'mariadb';
import { Deferred, describeError } from '@rokka/kernel';
import { snapshotErrors } from '../../errors.ts';

const CONNECT_MS_MAX = 5000;

export interface MariadbAddress {
  /** For messages. */
  readonly server: string;
  readonly socketPath: string;
  readonly user: string;
  readonly password?: string;
}

export type Row = Readonly<Record<string, unknown>>;

export class MariadbSession implements AsyncDisposable {
  readonly #connection: mariadb.Connection;
  readonly #socket: net.Socket;
  readonly #server: string;
  readonly #dropped = new Deferred<never>();

  private constructor(connection: mariadb.Connection, socket: net.Socket, server: string) {
    this.#connection = connection;
    this.#socket = socket;
    this.#server = server;
    // Without a listener the end of an idle session would bring the process down; the next statement tells it.
    connection.on('error', () => {});
  }

  /** @throws SNAPSHOTS_SERVER_SILENT */
  static async open(address: MariadbAddress, signal: AbortSignal): Promise<MariadbSession> {
    signal.throwIfAborted();
    const { server, socketPath, ...login } = address;
    const socket = net.connect(socketPath);
    const aborted = () => void socket.destroy(new Error('aborted'));
    signal.addEventListener('abort', aborted, { once: true });
    try {
      const connection = await mariadb.createConnection({
        ...login,
        stream: () => socket,
        connectTimeout: CONNECT_MS_MAX,
      });
      return new MariadbSession(connection, socket, server);
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw snapshotErrors.SNAPSHOTS_SERVER_SILENT([server, wordsOf(error)], { cause: error });
    } finally {
      signal.removeEventListener('abort', aborted);
    }
  }

  /** The session is dropped when the signal aborts, for nobody knows then what the statement still does. @throws SNAPSHOTS_SERVER_REFUSED */
  async query(statement: string, signal: AbortSignal): Promise<Row[]> {
    signal.throwIfAborted();
    const aborted = () => this.drop();
    signal.addEventListener('abort', aborted, { once: true });
    try {
      // The driver does not notice that its socket was closed from this side.
      return await Promise.race([this.#connection.query<Row[]>(statement), this.#dropped.promise]);
    } catch (error) {
      signal.throwIfAborted();
      throw snapshotErrors.SNAPSHOTS_SERVER_REFUSED([this.#server, statement, wordsOf(error)], {
        cause: error,
      });
    } finally {
      signal.removeEventListener('abort', aborted);
    }
  }

  /** `SHOW … LIKE` and the like as a record of strings. */
  async pairs(statement: string, signal: AbortSignal): Promise<Record<string, string>> {
    const rows = await this.query(statement, signal);
    return Object.fromEntries(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
  }

  drop(): void {
    this.#socket.destroy();
    this.#dropped.reject(new Error('the session was dropped'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
  }
}

/** The server's own words, without the statement that the driver adds. */
function wordsOf(error: unknown): string {
  return error instanceof mariadb.SqlError && error.sqlMessage ? error.sqlMessage : describeError(error);
}
