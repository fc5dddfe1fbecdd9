/** What commands share that stay in the foreground: how they are told to stop, and where they write down what happens. */
import * as fs from 'node:fs';
import { Deferred, systemClock } from '@rokka/kernel';
import { dataPaths } from '../data-directory.ts';

const SAME_WISH_MS = 500;
/** A longer one is put aside at the start; the one before it goes. */
const LOG_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The first signal stops in good order, a later Ctrl-C or SIGTERM at once. What follows closely is the same wish twice:
 * npm, for one, hands on the Ctrl-C that the terminal has given to us already.
 */
export function listenForSignals(): { stop: Deferred<string>; stopHard: Deferred<'hard'> } {
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
export function logFile(directory: string): (level: string, text: string) => void {
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
