/**
 * A head without a volume, for tests: it stages PostgreSQL on an ordinary directory in its private namespace, says on standard
 * output what happens, one JSON object a line, and takes commands on standard input, one word a line.
 */
import * as readline from 'node:readline';
import { describeError, isCoded } from '@rokka/kernel';
import { findAccount } from '../account.ts';
import { findPostgres } from '../binaries.ts';
import { runCommand } from '../command.ts';
import { initialisePostgres } from '../initialise.ts';
import { NativePostgres } from '../postgres.ts';
import { stagePostgres } from '../stage.ts';

export interface StandInOptions {
  /** What takes the volume's place; kept between heads. */
  dataDirectory: string;
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
  const bind = { command: 'mount', args: ['--bind', options.dataDirectory, place.mountPoint] };
  const { status, words } = await runCommand(bind, { timeoutMs: BIND_TIMEOUT_MS });
  if (status !== 0) throw new Error(words);
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
