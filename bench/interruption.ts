/**
 * Ctrl-C: whatever waits is given up, so that every topic takes away what it has made on its way out. A second one ends
 * the program at once.
 */
import { setTimeout as timer } from 'node:timers/promises';

export class Interruption extends Error {}

const controller = new AbortController();

export const interrupted: AbortSignal = controller.signal;

/** An error that nobody awaited is a way out like any other: what runs is ended in order. */
export function listenForInterruption(): void {
  process.once('uncaughtException', (error) => controller.abort(error));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => controller.abort(new Interruption(`interrupted by ${name}`)));
}

/** @throws when the program is interrupted */
export async function sleep(ms: number): Promise<void> {
  await timer(ms, undefined, { signal: interrupted });
}
