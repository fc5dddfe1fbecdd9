/**
 * The PostgreSQL wire of the embedded engine: listeners on loopback and on a unix socket, and in-process streams. Admits
 * connections up to a limit, tells the turns of their input, and finds the session that a CancelRequest means.
 */
import { chmod, lstat, rm } from 'node:fs/promises';
import { createServer, connect, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Deferred, systemClock, systemRandom, type Clock, type CodedError, type Random } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import type { Row } from './backend-sql.ts';
import type { Engine } from './engine.ts';
import type { TurnLimits } from './turn-timers.ts';
import { Turns } from './turns.ts';
import { WireConnection, type ConnectionHost, type WireLimits } from './wire-connection.ts';
import { Login } from './wire-login.ts';
import { FromBackend, int32, message, parameterStatus, readyMessage } from './wire-messages.ts';
import { makeScramVerifier, type ScramVerifier } from './wire-scram.ts';
import type { WireSession } from './wire-session.ts';

export interface WireServerOptions extends Partial<WireLimits>, Partial<TurnLimits> {
  readonly engine: Engine;
  readonly password: string;
  /** 1 means one session at a time, which may then use everything that one backend can do. */
  readonly connectionsMax?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Of connections that were closed because they made no sense. */
  readonly onGarbage?: (error: CodedError) => void;
}

export type ListenAddress = { readonly path: string } | { readonly host?: string; readonly port: number };

const CONNECTIONS_MAX = 100;
/** Connections that have not logged in yet, beyond those that may. */
const STRANGERS_MAX = 50;
const SOCKET_MODE = 0o700;
const KEEP_ALIVE_MS = 60_000;
/** Settings that the protocol reports to clients (GUC_REPORT). */
const REPORTED = [
  'server_version',
  'server_encoding',
  'client_encoding',
  'application_name',
  'default_transaction_read_only',
  'in_hot_standby',
  'is_superuser',
  'session_authorization',
  'search_path',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'integer_datetimes',
  'standard_conforming_strings',
  'scram_iterations',
];
/** Settings that cannot be wrong, so that a session need not ask the backend about them before it begins. */
const HARMLESS = new Set(['application_name']);

export class WireServer implements ConnectionHost, AsyncDisposable {
  readonly clock: Clock;
  readonly limits: WireLimits;
  readonly turns: Turns;
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #verifier: ScramVerifier;
  readonly #connectionsMax: number;
  readonly #onGarbage: (error: CodedError) => void;
  readonly #connections = new Set<WireConnection>();
  readonly #sessions = new Map<number, { connection: WireConnection; secret: number }>();
  readonly #listeners = new Set<Server>();
  #reported: readonly Row[] = [];
  #closed = false;

  private constructor(options: WireServerOptions) {
    this.clock = options.clock ?? systemClock;
    this.#engine = options.engine;
    this.#random = options.random ?? systemRandom;
    this.#verifier = makeScramVerifier(options.password, this.#random);
    this.#connectionsMax = options.connectionsMax ?? CONNECTIONS_MAX;
    this.#onGarbage = options.onGarbage ?? (() => {});
    this.limits = {
      messageBytesMax: options.messageBytesMax ?? 64 * 1024 * 1024,
      loginTimeoutMs: options.loginTimeoutMs ?? 10_000,
      stallTimeoutMs: options.stallTimeoutMs ?? 60_000,
    };
    this.turns = new Turns({
      engine: this.#engine,
      clock: this.clock,
      alone: this.#connectionsMax === 1,
      limits: {
        idleInTransactionMs: options.idleInTransactionMs ?? 60_000,
        waitMs: options.waitMs ?? 120_000,
        statementTimeoutMs: options.statementTimeoutMs ?? 0,
        cancelGraceMs: options.cancelGraceMs ?? 2000,
      },
    });
  }

  /** A server without listeners, on an engine that has started. */
  static async start(options: WireServerOptions): Promise<WireServer> {
    const server = new WireServer(options);
    const names = REPORTED.map((name) => `'${name}'`).join();
    const sql = `select name, current_setting(name, true) from unnest(array[${names}]) as name`;
    server.#reported = await server.turns.internal(sql);
    return server;
  }

  /**
   * Listens on a unix socket, which is made for its owner alone, or on TCP (127.0.0.1 unless told). Answers the address
   * with the port that was chosen for port 0.
   *
   * @throws DATABASE_ADDRESS_USED, DATABASE_ADDRESS_REFUSED
   */
  async listen(address: ListenAddress): Promise<{ path?: string; host?: string; port?: number }> {
    if ('path' in address) await removeStaleSocket(address.path);
    const server = createServer((socket) => this.#accept(socket));
    const up = new Deferred<void>();
    server.once('error', (error) => up.reject(listenError(address, error)));
    if ('path' in address) server.listen({ path: address.path }, () => up.resolve());
    else server.listen({ port: address.port, host: address.host ?? '127.0.0.1' }, () => up.resolve());
    await up.promise;
    this.#listeners.add(server);
    if ('path' in address) await chmod(address.path, SOCKET_MODE);
    const bound = server.address();
    return bound !== null && typeof bound === 'object'
      ? { host: bound.address, port: bound.port }
      : { path: bound ?? '' };
  }

  /** Serves a stream of this very process, which needs no password. */
  attach(stream: Duplex): void {
    this.#serve(stream, { peer: 'this process', trusted: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#connections)
      connection.fail({
        severity: 'FATAL',
        sqlState: '57P01',
        message: 'terminating connection due to administrator command',
      });
    // Transactions that were open are rolled back before the engine shuts down.
    await this.turns.internal('select 1').catch(() => {});
  }

  async open(
    connection: WireConnection,
    settings: Map<string, string>,
  ): Promise<{ session: WireSession; bytes: Buffer }> {
    const { failure } = this.#engine;
    if (failure) throw failure;
    if (this.#closed || this.#sessions.size >= this.#connectionsMax)
      throw databaseErrors.DATABASE_SQL_FAILED(['53300', 'sorry, too many clients already'], {
        detail: { sqlState: '53300', message: 'sorry, too many clients already' },
      });
    const session = this.turns.newSession();
    const secret = this.#random.below(2 ** 32) | 0;
    this.#sessions.set(session.id, { connection, secret });
    const shown = await this.#settle(session, settings);
    if (!connection.gone) this.turns.add(connection);
    const key = message(FromBackend.backendKey, int32(session.id), int32(secret));
    return { session, bytes: Buffer.concat([...shown, key, readyMessage('I')]) };
  }

  cancel(id: number, secret: number): void {
    const found = this.#sessions.get(id);
    if (found && found.secret === secret) this.turns.cancel(found.connection);
  }

  onInput(connection: WireConnection): void {
    this.turns.wake(connection);
  }

  onClosed(connection: WireConnection): void {
    this.#connections.delete(connection);
    for (const [id, session] of this.#sessions)
      if (session.connection === connection) this.#sessions.delete(id);
    if (connection.hasSession) this.turns.remove(connection);
  }

  onGarbage(error: CodedError): void {
    this.#onGarbage(error);
  }

  /** Gives the session its first settings and answers the ParameterStatus messages for them. */
  async #settle(session: WireSession, settings: Map<string, string>): Promise<Buffer[]> {
    let shown: ReadonlyMap<string, string> = settings;
    if ([...settings.keys()].every((name) => HARMLESS.has(name)))
      session.settings = session.startupSettings = settings;
    else shown = await this.turns.adoptSettings(session, settings);
    const given = new Map([...shown].map(([name, value]) => [name.toLowerCase(), value]));
    return this.#reported.map(([name, value]) =>
      parameterStatus(name ?? '', given.get((name ?? '').toLowerCase()) ?? value ?? ''),
    );
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true);
    // A peer that lost its power says nothing; the kernel finds out.
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const from = socket.remoteAddress;
    const peer = from === undefined ? 'a client of the unix socket' : `${from}:${socket.remotePort}`;
    if (this.#closed || this.#connections.size >= this.#connectionsMax + STRANGERS_MAX) {
      socket.destroy();
      return;
    }
    this.#serve(socket, { peer, trusted: false });
  }

  #serve(stream: Duplex, options: { peer: string; trusted: boolean }): void {
    const login = new Login({
      user: this.#engine.user,
      database: this.#engine.database,
      verifier: this.#verifier,
      trusted: options.trusted,
      random: this.#random,
    });
    this.#connections.add(new WireConnection(stream, { peer: options.peer, host: this, login }));
  }
}

/** A socket file whose server is dead is in the way; one that answers is somebody's. @throws DATABASE_ADDRESS_USED */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  // What is no socket stays, and listening says why it cannot be.
  if (!found?.isSocket()) return;
  const answer = new Deferred<'alive' | 'dead'>();
  const probe = connect({ path });
  probe.once('connect', () => answer.resolve('alive'));
  probe.once('error', () => answer.resolve('dead'));
  const state = await answer.promise;
  probe.destroy();
  if (state === 'alive') throw databaseErrors.DATABASE_ADDRESS_USED([path]);
  await rm(path);
}

function listenError(address: ListenAddress, error: NodeJS.ErrnoException): CodedError {
  const text = 'path' in address ? address.path : `${address.host ?? '127.0.0.1'}:${address.port}`;
  return error.code === 'EADDRINUSE'
    ? databaseErrors.DATABASE_ADDRESS_USED([text], { cause: error })
    : databaseErrors.DATABASE_ADDRESS_REFUSED([text, error.message], { cause: error });
}
