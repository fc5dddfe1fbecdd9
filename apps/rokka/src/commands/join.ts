/** `rokka join`: makes this machine a storage node of a cluster that runs elsewhere, and stays until told to stop. */
import { systemClock } from '@rokka/kernel';
import type { Arguments } from '../arguments.ts';
import { listenForControl } from '../control.ts';
import type { DataDirectory } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import { joinDirectory, openJoined } from '../machines/join-directory.ts';
import { JoinedMachine } from '../machines/joined-machine.ts';
import { listenIn, rememberListen } from '../machines/remembered-listen.ts';
import { Terminal } from '../terminal.ts';
import { listenForSignals, logFile, reporting, stayUntilStopped } from './foreground.ts';

export async function join(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const signals = listenForSignals();
  const startedMs = systemClock.nowMs();
  using data = await open(args);
  const listen = args.listen ?? listenIn(data.path);
  if (!listen) throw rokkaErrors.ROKKA_BAD_FLAG(['rokka join needs --listen HOST:PORT']);
  const log = logFile(data.path);
  await using machine = new JoinedMachine({ data, listen, ...reporting(terminal, log) });
  const elsewhere = () => Promise.reject(notHere(data.path));
  await using control = await listenForControl(data.path, {
    status: () => machine.status(),
    stop: () => signals.stop.resolve('stop'),
    node: elsewhere,
    token: elsewhere,
    database: elsewhere,
    past: elsewhere,
  });
  const onStarted = ({ ordinal, zone }: Awaited<ReturnType<JoinedMachine['start']>>) => {
    rememberListen(data.path, listen);
    const tookSeconds = ((systemClock.nowMs() - startedMs) / 1000).toFixed(1);
    terminal.line(
      `rokka has joined after ${tookSeconds} s: node ${ordinal}, zone ${zone}, cluster ${data.cluster}`,
    );
    terminal.line('  rokka status shows how it is, Ctrl-C stops it');
  };
  await stayUntilStopped(machine, { signals, terminal, log, control, onStarted });
  return 0;
}

async function open({ words, dataDirectory, zone, listen }: Arguments): Promise<DataDirectory> {
  const [token, ...rest] = words;
  if (rest.length > 0) throw rokkaErrors.ROKKA_BAD_FLAG(['rokka join takes one token']);
  if (token === undefined) return openJoined(dataDirectory, 'node');
  const at = listen ?? listenIn(dataDirectory);
  if (!at) throw rokkaErrors.ROKKA_BAD_FLAG(['rokka join TOKEN needs --listen HOST:PORT']);
  return joinDirectory({ directory: dataDirectory, token, zone, listen: at, as: 'node' });
}

const notHere = (directory: string) =>
  rokkaErrors.ROKKA_WRONG_DIRECTORY([
    directory,
    'a machine that joined',
    'ask on the machine that made the cluster',
  ]);
