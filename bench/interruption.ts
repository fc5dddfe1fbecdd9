/**
 * Ctrl-C: whatever waits is given up, so that every topic takes away what it has made on its way out. A second one ends
 * the program at once.
 */
import { setTimeout as timer } from 'node:timers/promises';

const controller = new AbortController();

export const interrupted: AbortSignal = controller.signal;

export function listenForInterruption(): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => controller.abort(new Error(`interrupted by ${name}`)));
}

/** @throws when the program is interrupted */
export async function sleep(ms: number): Promise<void> {
  await timer(ms, undefined, { signal: interrupted });
}
