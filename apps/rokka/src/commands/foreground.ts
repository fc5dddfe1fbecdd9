/** What commands share that stay in the foreground: how they are told to stop, and where they write down what happens. */
import * as fs from 'node:fs';
import { type CodedError, Deferred, systemClock } from '@rokka/kernel';
import { dataPaths } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import type { Terminal } from '../terminal.ts';

type Log = (level: string, text: string) => void;

export interface Signals {
  readonly stop: Deferred<string>;
  readonly stopHard: Deferred<'hard'>;
}

/** What is started, stays, and is ended by disposing of it. */
export interface Stayer<T> extends AsyncDisposable {
  start(): Promise<T>;
  /** Why it cannot stay. */
  readonly failed: Promise<CodedError>;
  /** Ends everything at once. */
  kill(): void;
}

const SAME_WISH_MS = 500;
/** A longer one is put aside at the start; the one before it goes. */
const LOG_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The first signal stops in good order, a later Ctrl-C or SIGTERM at once. What follows closely is the same wish twice:
 * npm, for one, hands on the Ctrl-C that the terminal has given to us already.
 */
export function listenForSignals(): Signals {
  const stop = new Deferred<string>();
  const stopHard = new Deferred<'hard'>();
  let firstMs: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const nowMs = systemClock.nowMs();
      firstMs ??= nowMs;
      if (nowMs - firstMs > SAME_WISH_MS && signal !== 'SIGHUP') stopHard.resolve('hard');
      stop.resolve(signal);
    });
  }
  return { stop, stopHard };
}

/** One line of JSON for each event. */
export function logFile(directory: string): Log {
  const file = dataPaths.log(directory);
  const sizeBytes = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (sizeBytes > LOG_BYTES_MAX) fs.renameSync(file, `${file}.old`);
  return (level, text) => {
    const line = JSON.stringify({ time: new Date(systemClock.wallMs()).toISOString(), level, text });
    try {
      fs.appendFileSync(file, `${line}\n`, { mode: 0o600 });
    } catch {
      // A full disk must not end the supervisor; the terminal has the line as well.
    }
  };
}

/** What happens to a stayer goes to the log; people see its progress, and what is more than news. */
export function reporting(terminal: Terminal, log: Log) {
  return {
    onProgress: (text: string) => terminal.progress(`rokka: ${text}`),
    onLog: (level: string, text: string) => {
      log(level, text);
      if (level !== 'info') terminal.line(`rokka: ${text}`);
    },
  };
}

/**
 * Starts it, says so with `onStarted`, and stops it in good order when told to; `control` is closed after it.
 * @throws why it failed; ROKKA_STOPPED_HARD
 */
export async function stayUntilStopped<T>(
  stayer: Stayer<T>,
  on: {
    signals: Signals;
    terminal: Terminal;
    log: Log;
    control: AsyncDisposable;
    onStarted: (value: T) => void;
  },
): Promise<void> {
  const { signals, terminal, log } = on;
  const started = stayer.start().then((value) => ({ value }));
  // When a stop wins, the start ends in an error that nobody waits for.
  started.catch(() => {});
  let ended = await Promise.race([started, signals.stop.promise, stayer.failed]);
  if (typeof ended === 'object' && 'value' in ended) {
    on.onStarted(ended.value);
    ended = await Promise.race([signals.stop.promise, stayer.failed]);
  }
  if (typeof ended !== 'string') throw ended;
  terminal.line('rokka: stopping (Ctrl-C once more ends everything at once)');
  const stopped = stayer[Symbol.asyncDispose]().then(() => 'in good order');
  if ((await Promise.race([stopped, signals.stopHard.promise])) === 'hard') {
    log('warn', `stopped by ${ended}, and hard by a second signal`);
    stayer.kill();
    await stopped;
    throw rokkaErrors.ROKKA_STOPPED_HARD([]);
  }
  await on.control[Symbol.asyncDispose]();
  log('info', `stopped by ${ended}`);
  terminal.line('rokka: stopped; nothing is left running');
}
