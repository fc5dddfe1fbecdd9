/**
 * The peers: the same PostgreSQL on the local disk, alone or with six streaming standbys of which any four must have
 * flushed a commit (`synchronous_standby_names = 'ANY 4 (…)'`), with the safest settings that their users would run.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { freePort } from '@rokka/kernel/testing';
import { sleep } from './interruption.ts';
import { type BenchSystem, endChild, hasEnded, treeCpuSeconds } from './system.ts';

/** The same for every system that is compared; everything else is each system's own. */
export const SETTINGS = {
  shared_buffers: '256MB',
  max_connections: '100',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
};
const PASSWORD = 'bench';
/** PostgreSQL refuses to run as root; `nobody` is everywhere. */
const NOBODY = 65534;
const STOP_MS = 20_000;

interface ServerOptions {
  binaries: string;
  directory: string;
  settings: Record<string, string>;
}

class Server implements AsyncDisposable {
  readonly #options: ServerOptions;
  readonly port: number;
  #child: ChildProcess | undefined;

  constructor(options: ServerOptions, port: number) {
    this.#options = options;
    this.port = port;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const settings = {
      ...this.#options.settings,
      port: String(this.port),
      unix_socket_directories: '',
      listen_addresses: '127.0.0.1',
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(
      path.join(this.#options.binaries, 'postgres'),
      ['-D', this.#options.directory, ...args],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        ...identity(),
      },
    );
    this.#child = child;
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
      if (log.includes('ready to accept')) return;
      if (hasEnded(child)) break;
      await sleep(100);
    }
    throw new Error(`PostgreSQL did not start in ${this.#options.directory}:\n${log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child) await endChild(this.#child, { signal: 'SIGINT', patienceMs: STOP_MS });
  }
}

function identity(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

function own(directory: string): void {
  chmodSync(directory, 0o700);
  if (process.getuid?.() === 0) chownSync(directory, NOBODY, NOBODY);
}

function initialise(binaries: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  own(directory);
  const passwordFile = `${directory}.password`;
  writeFileSync(passwordFile, PASSWORD);
  if (process.getuid?.() === 0) chownSync(passwordFile, NOBODY, NOBODY);
  execFileSync(
    path.join(binaries, 'initdb'),
    [
      '-D',
      directory,
      '-U',
      'postgres',
      '--pwfile',
      passwordFile,
      '-A',
      'scram-sha-256',
      '-E',
      'UTF8',
      '--no-locale',
    ],
    { stdio: 'pipe', ...identity() },
  );
  rmSync(passwordFile);
}

/** PostgreSQL on the local disk: one copy. */
export async function localPostgres(options: {
  binaries: string;
  directory: string;
  settings: Record<string, string>;
}): Promise<BenchSystem> {
  const data = path.join(options.directory, 'local');
  initialise(options.binaries, data);
  await using servers = new AsyncDisposableStack();
  const server = servers.use(new Server({ ...options, directory: data }, await freePort()));
  await server.start();
  return system('local disk, one copy', { primary: server, servers: servers.move() });
}

/** A primary and six standbys on the same machine; a commit waits until any four have flushed it. */
export async function sixStandbys(options: {
  binaries: string;
  directory: string;
  settings: Record<string, string>;
}): Promise<BenchSystem> {
  const data = path.join(options.directory, 'primary');
  initialise(options.binaries, data);
  writeFileSync(
    path.join(data, 'pg_hba.conf'),
    'host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n',
  );
  const names = [1, 2, 3, 4, 5, 6].map((index) => `s${index}`);
  const copies = names.map((name) => path.join(options.directory, name));
  // A cold copy stands in for pg_basebackup, which the npm binaries lack.
  for (const copy of copies) {
    cpSync(data, copy, { recursive: true, preserveTimestamps: true });
    writeFileSync(path.join(copy, 'standby.signal'), '');
    if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, copy]);
    own(copy);
  }
  await using servers = new AsyncDisposableStack();
  const standbys: Server[] = [];
  const settings = {
    ...options.settings,
    max_wal_senders: '10',
    synchronous_standby_names: `ANY 4 (${names.join(',')})`,
  };
  const primary = new Server({ ...options, directory: data, settings }, await freePort());
  servers.defer(async () => void (await Promise.all(standbys.map((each) => each[Symbol.asyncDispose]()))));
  // Goes first: it must not wait for standbys that have gone.
  servers.use(primary);
  await primary.start();
  for (const [index, name] of names.entries()) {
    const standby = new Server(
      {
        binaries: options.binaries,
        directory: copies[index],
        settings: {
          ...options.settings,
          primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password=${PASSWORD} application_name=${name}`,
        },
      },
      await freePort(),
    );
    standbys.push(standby);
  }
  await Promise.all(standbys.map((each) => each.start()));
  return system('six synchronous standbys, ANY 4', { primary, standbys, servers: servers.move() });
}

function system(
  name: string,
  of: { primary: Server; standbys?: Server[]; servers: AsyncDisposableStack },
): BenchSystem {
  const { primary, standbys = [], servers } = of;
  return {
    name,
    host: '127.0.0.1',
    port: primary.port,
    password: PASSWORD,
    cpuSeconds: () => treeCpuSeconds([primary, ...standbys].map((server) => server.pid)),
    counters: async () => undefined,
    [Symbol.asyncDispose]: () => servers.disposeAsync(),
  };
}
