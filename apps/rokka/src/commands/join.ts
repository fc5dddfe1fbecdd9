/** `rokka join`: makes this machine a storage node of a cluster that runs elsewhere, and stays until told to stop. */
import { CodedError, systemClock } from '@rokka/kernel';
import type { Arguments } from '../arguments.ts';
import { listenForControl } from '../control.ts';
import type { DataDirectory } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import { joinDirectory, openJoined } from '../machines/join-directory.ts';
import { JoinedMachine } from '../machines/joined-machine.ts';
import { listenIn, rememberListen } from '../machines/remembered-listen.ts';
import { Terminal } from '../terminal.ts';
import { listenForSignals, logFile } from './foreground.ts';

export async function join(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const { stop, stopHard } = listenForSignals();
  const startedMs = systemClock.nowMs();
  using data = await open(args);
  const listen = args.listen ?? listenIn(data.path);
  if (!listen) throw rokkaErrors.ROKKA_BAD_FLAG(['rokka join needs --listen HOST:PORT']);
  const log = logFile(data.path);
  await using machine = new JoinedMachine({
    data,
    listen,
    onProgress: (text) => terminal.progress(`rokka: ${text}`),
    onLog: (level, text) => {
      log(level, text);
      if (level !== 'info') terminal.line(`rokka: ${text}`);
    },
  });
  const elsewhere = () => Promise.reject(notHere(data.path));
  await using control = await listenForControl(data.path, {
    status: () => machine.status(),
    stop: () => stop.resolve('stop'),
    node: elsewhere,
    token: elsewhere,
  });
  const started = machine.start();
  // When a stop wins, the start ends in an error that nobody waits for.
  started.catch(() => {});
  let ended = await Promise.race([started, stop.promise, machine.failed]);
  if (typeof ended !== 'string' && !(ended instanceof CodedError)) {
    rememberListen(data.path, listen);
    const tookSeconds = ((systemClock.nowMs() - startedMs) / 1000).toFixed(1);
    terminal.line(
      `rokka has joined after ${tookSeconds} s: node ${ended.ordinal}, zone ${ended.zone}, cluster ${data.cluster}`,
    );
    terminal.line('  rokka status shows how it is, Ctrl-C stops it');
    ended = await Promise.race([stop.promise, machine.failed]);
  }
  if (typeof ended !== 'string') throw ended;
  terminal.line('rokka: stopping');
  const stopped = machine[Symbol.asyncDispose]().then(() => 'in good order');
  if ((await Promise.race([stopped, stopHard.promise])) === 'hard') {
    machine.kill();
    await stopped;
    throw rokkaErrors.ROKKA_STOPPED_HARD([]);
  }
  await control[Symbol.asyncDispose]();
  log('info', `stopped by ${ended}`);
  terminal.line('rokka: stopped; nothing is left running');
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
