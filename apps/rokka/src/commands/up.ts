/** `rokka up`: starts everything on this machine, says how to connect, and stays until told to stop. */
import * as fs from 'node:fs';
import { systemClock } from '@rokka/kernel';
import { connectionString, writeClientFiles } from '@rokka/databases';
import type { Arguments } from '../arguments.ts';
import { keepCompiledCode } from '../compile-cache.ts';
import { listenForControl } from '../control.ts';
import { dataPaths } from '../data-directory.ts';
import type { Connection } from '../processes/engine.ts';
import { Supervisor } from '../supervisor.ts';
import { Terminal } from '../terminal.ts';
import { listenForSignals, logFile, reporting, stayUntilStopped } from './foreground.ts';
import { openDataDirectory } from './up-directory.ts';

export async function up(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const signals = listenForSignals();
  const startedMs = systemClock.nowMs();
  using data = await openDataDirectory(args);
  const log = logFile(data.path);
  await using supervisor = await Supervisor.create({ data, args, ...reporting(terminal, log) });
  await using control = await listenForControl(data.path, {
    status: () => supervisor.status(),
    stop: () => signals.stop.resolve('stop'),
    node: (request) => supervisor.node(request),
    token: (request) => supervisor.token(request),
    database: (request) => supervisor.database(request),
    past: (request) => supervisor.past(request),
  });
  const onStarted = () => {
    const tookSeconds = ((systemClock.nowMs() - startedMs) / 1000).toFixed(1);
    greet(terminal, { args, connection: supervisor.connection, tookSeconds });
    log('info', `serving on port ${args.port}, cluster ${data.cluster}`);
    keepCompiledCode();
  };
  await stayUntilStopped(supervisor, { signals, terminal, log, control, onStarted });
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
  if (args.awsPort !== 0)
    terminal.line(`  rokka aws sts get-caller-identity: the AWS API, on port ${args.awsPort}`);
  terminal.line('  rokka status shows the members, Ctrl-C stops');
}
