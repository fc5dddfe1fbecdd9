/** `rokka up`: starts everything on this machine, says how to connect, and stays until told to stop. */
import * as fs from 'node:fs';
import { systemClock } from '@rokka/kernel';
import { connectionString, writeClientFiles } from '@rokka/databases';
import type { Arguments } from '../arguments.ts';
import { keepCompiledCode } from '../compile-cache.ts';
import { listenForControl } from '../control.ts';
import { dataPaths } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import type { Connection } from '../processes/engine.ts';
import { Supervisor } from '../supervisor.ts';
import { Terminal } from '../terminal.ts';
import { listenForSignals, logFile } from './foreground.ts';
import { openDataDirectory } from './up-directory.ts';

export async function up(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const { stop, stopHard } = listenForSignals();
  const startedMs = systemClock.nowMs();
  using data = await openDataDirectory(args);
  const log = logFile(data.path);
  await using supervisor = await Supervisor.create({
    data,
    args,
    onProgress: (text) => terminal.progress(`rokka: ${text}`),
    onLog: (level, text) => {
      log(level, text);
      if (level !== 'info') terminal.line(`rokka: ${text}`);
    },
  });
  await using control = await listenForControl(data.path, {
    status: () => supervisor.status(),
    stop: () => stop.resolve('stop'),
    node: (request) => supervisor.node(request),
    token: (request) => supervisor.token(request),
  });
  const started = supervisor.start();
  // When a stop wins, the start ends in an error that nobody waits for.
  started.catch(() => {});
  let ended = await Promise.race([started, stop.promise, supervisor.failed]);
  if (ended === undefined) {
    const tookSeconds = ((systemClock.nowMs() - startedMs) / 1000).toFixed(1);
    greet(terminal, { args, connection: supervisor.connection, tookSeconds });
    log('info', `serving on port ${args.port}, cluster ${data.cluster}`);
    keepCompiledCode();
    ended = await Promise.race([stop.promise, supervisor.failed]);
  }
  if (typeof ended !== 'string') throw ended;
  terminal.line('rokka: stopping (Ctrl-C once more ends everything at once)');
  const stopped = supervisor[Symbol.asyncDispose]().then(() => 'in good order');
  if ((await Promise.race([stopped, stopHard.promise])) === 'hard') {
    log('warn', `stopped by ${ended}, and hard by a second signal`);
    supervisor.kill();
    await stopped;
    throw rokkaErrors.ROKKA_STOPPED_HARD([]);
  }
  await control[Symbol.asyncDispose]();
  log('info', `stopped by ${ended}`);
  terminal.line('rokka: stopped; nothing is left running');
  return 0;
}

function greet(
  terminal: Terminal,
  of: { args: Arguments; connection: Connection; tookSeconds: string },
): void {
  const { args, connection } = of;
  const directory = args.dataDirectory;
  const password = fs.readFileSync(dataPaths.password(directory), 'utf8').trim();
  const target = { ...connection, password };
  const socket = { ...target, host: connection.socketDirectory };
  const files = writeClientFiles({
    directory: `${directory}/secrets`,
    service: 'rokka',
    targets: [target, socket],
  });
  terminal.line(
    `rokka is up after ${of.tookSeconds} s: six copies in three zones, PostgreSQL on port ${connection.port}`,
  );
  terminal.line(`  psql '${connectionString(target)}'`);
  terminal.line(`  PGSERVICEFILE=${files.serviceFile} psql service=rokka`);
  terminal.line('  rokka status shows the members, Ctrl-C stops');
}
