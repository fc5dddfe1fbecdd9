/** Native PostgreSQL on a mount over pages in memory. Only in a private mount namespace (namespaceCommand). */
import { Client } from 'pg';
import { systemClock, systemRandom } from '@rokka/kernel';
import { FileSystem } from '@rokka/filesystem';
import { FileSystemHandler, FuseServer } from '@rokka/fuse';
import type { MemoryPageStore } from '@rokka/volume';
import { findAccount } from '../native/account.ts';
import { findPostgres } from '../native/binaries.ts';
import { generatePassword, initialisePostgres } from '../native/initialise.ts';
import { NativePostgres } from '../native/postgres.ts';
import { stagePostgres, type PostgresStage } from '../native/stage.ts';
import type { CutEngine, OpenDatabase, Session } from './cut-engine.ts';

/** So that background processes write among the writers all the time, each to its own files. */
const SETTINGS = {
  shared_buffers: '1MB',
  max_connections: '20',
  autovacuum_naptime: '1s',
  bgwriter_delay: '10ms',
  checkpoint_timeout: '30s',
};
const STATEMENT_TIMEOUT_MS = 60_000;

export async function nativeOnPages(options: { runDirectory: string; port: number }): Promise<CutEngine> {
  const binaries = await findPostgres();
  const { runDirectory, port } = options;
  const stage = await stagePostgres({ binaries, account: findAccount(), runDirectory });
  const password = generatePassword(systemRandom);
  const sessionCount = 3;
  return { sessionCount, open: (store) => open(store, { stage, port, password, sessionCount }) };
}

interface Place {
  readonly stage: PostgresStage;
  readonly port: number;
  readonly password: string;
  readonly sessionCount: number;
}

async function open(store: MemoryPageStore, place: Place): Promise<OpenDatabase> {
  const { stage, port, password } = place;
  await using resources = new AsyncDisposableStack();
  const handler = new FileSystemHandler({
    filesystem: FileSystem.mount(store, { clock: systemClock }),
    store,
  });
  const { mountPoint } = stage;
  const log = (line: string) => void process.stderr.write(`${line}\n`);
  resources.use(await FuseServer.mount({ handler, mountPoint, clock: systemClock, log }));
  await initialisePostgres({ stage, password });
  const postgres = await NativePostgres.start({ stage, port, settings: SETTINGS });
  resources.defer(() => postgres.stop('kill'));
  const sessions: Session[] = [];
  for (let i = 0; i < place.sessionCount; i++) sessions.push(await connect(place));
  const life = resources.move();
  return { sessions, end: () => life.disposeAsync() };
}

async function connect({ stage, port, password }: Place): Promise<Session> {
  const client = new Client({
    host: stage.socketDirectory,
    port,
    user: 'postgres',
    database: 'postgres',
    password,
    query_timeout: STATEMENT_TIMEOUT_MS,
  });
  // The server is killed under it.
  client.on('error', () => {});
  await client.connect();
  return {
    async run(sql) {
      const results: unknown = await client.query(sql);
      const last = (Array.isArray(results) ? results.at(-1) : results) as { rows: Record<string, unknown>[] };
      return last.rows;
    },
  };
}
