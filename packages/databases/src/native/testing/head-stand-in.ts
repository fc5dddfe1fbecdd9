/**
 * A head without a volume, for tests: it stages PostgreSQL in its private namespace, on an ordinary directory or on our own
 * filesystem over pages in its memory, says on standard output what happens, one JSON object a line, and takes commands
 * on standard input, one word a line.
 */
import * as readline from 'node:readline';
import { FileSystem } from '@rokka/filesystem';
import { FileSystemHandler, FuseServer } from '@rokka/fuse';
import { describeError, isCoded, systemClock, systemRandom } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { findAccount } from '../account.ts';
import { findPostgres } from '../binaries.ts';
import { runCommand } from '../command.ts';
import { initialisePostgres } from '../initialise.ts';
import { NativePostgres } from '../postgres.ts';
import { stagePostgres } from '../stage.ts';

export interface StandInOptions {
  /** What takes the volume's place, and is kept between heads; undefined for a FUSE mount over pages in memory. */
  dataDirectory?: string | undefined;
  runDirectory: string;
  port: number;
  password: string;
  database: string;
  postgres?: string;
  settings?: Record<string, string>;
}

export type StandInEvent =
  | { event: 'step'; text: string }
  | { event: 'log'; text: string }
  | { event: 'staged'; uid: number; how: string }
  | { event: 'ready'; pid: number; created: boolean }
  | { event: 'exited'; how: string; code?: string; message?: string }
  | { event: 'failed'; code?: string; message: string };

const BIND_TIMEOUT_MS = 10_000;

async function main(options: StandInOptions): Promise<void> {
  const { postgres: directory, settings = {}, port } = options;
  const binaries = await findPostgres(directory === undefined ? {} : { directory });
  const account = findAccount();
  const place = await stagePostgres({ binaries, account, runDirectory: options.runDirectory });
  await mountData(options.dataDirectory, place.mountPoint);
  say({ event: 'staged', uid: account.uid, how: account.how });
  const { created } = await initialisePostgres({
    stage: place,
    password: options.password,
    database: options.database,
    onProgress: (text) => say({ event: 'step', text }),
  });
  const start = async () => {
    const postgres = await NativePostgres.start({
      stage: place,
      port,
      settings,
      onLine: ({ level, message }) => say({ event: 'log', text: `${level}: ${message}` }),
    });
    say({ event: 'ready', pid: postgres.pid, created });
    void postgres.exited.then(({ how, error }) =>
      say({ event: 'exited', how, ...(error && { code: error.code, message: error.message }) }),
    );
    return postgres;
  };
  let postgres = await start();
  for await (const word of readline.createInterface({ input: process.stdin })) {
    if (word === 'stop' || word === 'kill') await postgres.stop(word === 'stop' ? 'fast' : 'kill');
    if (word === 'start') postgres = await start();
    if (word === 'quit') break;
  }
  process.stdin.destroy();
  await postgres.stop();
}

async function mountData(directory: string | undefined, mountPoint: string): Promise<void> {
  if (directory === undefined) {
    const store = new MemoryPageStore({ pagesMax: 1 << 20 });
    FileSystem.format(store, { clock: systemClock, random: systemRandom });
    const filesystem = FileSystem.mount(store, { clock: systemClock });
    const handler = new FileSystemHandler({ filesystem, store });
    await FuseServer.mount({ handler, mountPoint, clock: systemClock, log: () => {} });
    return;
  }
  const bind = { command: 'mount', args: ['--bind', directory, mountPoint] };
  const { status, words } = await runCommand(bind, { timeoutMs: BIND_TIMEOUT_MS });
  if (status !== 0) throw new Error(words);
}

function say(event: StandInEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

if (import.meta.main) {
  try {
    await main(JSON.parse(process.argv[2] ?? '{}') as StandInOptions);
  } catch (error) {
    const message = isCoded(error) ? error.message : describeError(error);
    say({ event: 'failed', message, ...(isCoded(error) && { code: error.code }) });
    process.exitCode = 1;
  }
}
