/** A running embedded database for system tests, with the tools to look at it from outside. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { EmbeddedDatabase, type EmbeddedOptions } from '../embedded-database.ts';
import { MemorySink } from './memory-sink.ts';

const run = promisify(execFile);
const TOOL_TIMEOUT_MS = 240_000;

let template: Promise<MemorySink> | undefined;

/** A volume with an empty database on it; made once a process. */
export function databaseSink(): Promise<MemorySink> {
  template ??= (async () => {
    const sink = new MemorySink();
    const database = await EmbeddedDatabase.open({ sink });
    await database.close();
    return sink;
  })();
  return template.then((sink) => sink.clone());
}

export class Running implements AsyncDisposable {
  readonly database: EmbeddedDatabase;
  readonly sink: MemorySink;
  readonly port: number;
  readonly socketPath: string;
  readonly #directory: string;
  readonly #clients = new Set<pg.Client>();

  private constructor(parts: {
    database: EmbeddedDatabase;
    sink: MemorySink;
    port: number;
    directory: string;
    socketPath: string;
  }) {
    this.database = parts.database;
    this.sink = parts.sink;
    this.port = parts.port;
    this.#directory = parts.directory;
    this.socketPath = parts.socketPath;
  }

  static async start(options: Partial<EmbeddedOptions> & { sink?: MemorySink } = {}): Promise<Running> {
    const sink = options.sink ?? (await databaseSink());
    const database = await EmbeddedDatabase.open({ ...options, sink });
    const directory = await mkdtemp(path.join(os.tmpdir(), 'rokka-pglite-'));
    const socketPath = path.join(directory, '.s.PGSQL.5432');
    await database.listen({ path: socketPath });
    const { port = 0 } = await database.listen({ port: 0 });
    return new Running({ database, sink, port, directory, socketPath });
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      PGHOST: '127.0.0.1',
      PGPORT: String(this.port),
      PGUSER: this.database.engine.user,
      PGDATABASE: this.database.engine.database,
      PGPASSWORD: this.database.password,
      PGCONNECT_TIMEOUT: '60',
      PGSSLMODE: 'disable',
    };
  }

  /** Runs psql, pgbench or the like. Resolves with both outputs; rejects where it fails. */
  async tool(program: string, args: readonly string[], more: NodeJS.ProcessEnv = {}) {
    const { stdout, stderr } = await run(program, [...args], {
      env: { ...this.environment, ...more },
      timeout: TOOL_TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { stdout, stderr };
  }

  /** A client over TCP; it is ended with the database. */
  async client(config: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({ ...this.config, ...config });
    client.on('error', () => {});
    this.#clients.add(client);
    await client.connect();
    return client;
  }

  get config(): pg.ClientConfig {
    const { user, database } = this.database.engine;
    const { port } = this;
    return { host: '127.0.0.1', port, user, database, password: this.database.password, ssl: false };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.end().catch(() => {});
    await this.database.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
