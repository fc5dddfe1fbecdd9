/**
 * The embedded engine as a library inside a Node program: open it on a volume, ask it, close it. The same engine can be
 * given to other programs by `listen`.
 *
 * Queries go through the `pg` client, over a stream inside the process, to the wire server: so parameters, types and
 * results are what every Node program knows, and there is one way into the engine.
 */
import { Pool, type PoolClient, type QueryResult, type QueryResultRow } from 'pg';
import { systemClock, systemRandom, type Clock, type CodedError, type Random } from '@rokka/kernel';
import { SharedPageHost, type AsyncRecordSink } from '@rokka/volume';
import { BackgroundDuties, type DutyOptions } from './background-duties.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { inProcessStream } from './in-process-stream.ts';
import { WireServer, type ListenAddress, type WireServerOptions } from './wire-server.ts';

export interface EmbeddedOptions
  extends Omit<EngineOptions, 'openPages' | 'onLost'>, Omit<WireServerOptions, 'engine' | 'password'> {
  /** The volume's writer. Stays the caller's: close the database first, then the volume. */
  readonly sink: AsyncRecordSink;
  /** For those who connect from outside; a random one is made where none is given. */
  readonly password?: string;
  readonly duties?: DutyOptions;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly onGarbage?: (error: CodedError) => void;
}

/** What can be asked inside and outside of a transaction. */
export interface Queryable {
  query<R extends QueryResultRow = QueryResultRow>(
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<QueryResult<R>>;
}

/** Sessions of this process. More would only wait for each other: the engine works for one at a time. */
const POOL_MAX = 4;

export class EmbeddedDatabase implements Queryable, AsyncDisposable {
  readonly password: string;
  readonly engine: Engine;
  readonly #server: WireServer;
  readonly #duties: BackgroundDuties;
  readonly #pool: Pool;

  private constructor(parts: {
    engine: Engine;
    server: WireServer;
    duties: BackgroundDuties;
    password: string;
  }) {
    this.engine = parts.engine;
    this.password = parts.password;
    this.#server = parts.server;
    this.#duties = parts.duties;
    this.#pool = new Pool({
      max: POOL_MAX,
      user: this.engine.user,
      database: this.engine.database,
      ssl: false,
      stream: () => {
        const { client, server } = inProcessStream();
        this.#server.attach(server);
        return client;
      },
    });
    // An idle session that ends (the engine was restarted) is replaced by the pool when it is needed.
    this.#pool.on('error', () => {});
  }

  /** Starts the engine on the volume; makes the database where there is none. @throws as Engine.start */
  static async open(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
    const password = options.password ?? (options.random ?? systemRandom).hex(16);
    const engine = await Engine.start({ ...options, openPages: () => SharedPageHost.open(options.sink) });
    try {
      const server = await WireServer.start({ ...options, engine, password });
      const { onLog } = options;
      const duties = new BackgroundDuties(server.turns, {
        ...options.duties,
        clock: options.clock ?? systemClock,
        ...(onLog ? { onLog } : {}),
      });
      return new EmbeddedDatabase({ engine, server, duties, password });
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** One statement with parameters $1, $2, … */
  query<R extends QueryResultRow = QueryResultRow>(
    sql: string,
    parameters: readonly unknown[] = [],
  ): Promise<QueryResult<R>> {
    return this.#pool.query<R>(sql, [...parameters]);
  }

  /** Any number of statements without parameters, in one transaction unless they say otherwise. */
  async exec(sql: string): Promise<void> {
    await this.#pool.query(sql);
  }

  /** Runs `work` in a transaction: commits when it resolves, rolls back when it rejects. Others wait meanwhile. */
  async transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('begin');
      const result = await work(queryableOf(client));
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch((lost: Error) => (broken = lost));
      throw error;
    } finally {
      client.release(broken);
    }
  }

  /** Lets other programs in, with `engine.user` and `password`. @throws DATABASE_ADDRESS_USED, DATABASE_ADDRESS_REFUSED */
  listen(address: ListenAddress): Promise<{ path?: string; host?: string; port?: number }> {
    return this.#server.listen(address);
  }

  async close(): Promise<void> {
    this.#duties[Symbol.dispose]();
    await this.#pool.end();
    await this.#server[Symbol.asyncDispose]();
    await this.engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function queryableOf(client: PoolClient): Queryable {
  return {
    query: <R extends QueryResultRow>(sql: string, parameters: readonly unknown[] = []) =>
      client.query<R>(sql, [...parameters]),
  };
}
