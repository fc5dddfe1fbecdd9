/** How long a system takes until it answers a first query. */
import { Client } from 'pg';
import { interrupted, sleep } from './interruption.ts';
import type { RokkaSystem } from './rokka-system.ts';
import type { BenchSystem } from './system.ts';

const ASK_AGAIN_MS = 20;
const ANSWER_MS_MAX = 300_000;

/** Asks again and again; answers milliseconds since `startedMs`. @throws after ANSWER_MS_MAX */
export async function firstQuery(system: BenchSystem, startedMs = performance.now()): Promise<number> {
  while (!(await answers(system))) {
    interrupted.throwIfAborted();
    if (performance.now() - startedMs > ANSWER_MS_MAX) throw new Error('no query is answered any more');
    await sleep(ASK_AGAIN_MS);
  }
  return performance.now() - startedMs;
}

/** From the command to the first query. */
export async function startToFirstQuery(system: RokkaSystem): Promise<number> {
  const startedMs = performance.now();
  const started = system.start();
  // Whether it says that it is up is not what is measured; that it failed ends the asking.
  const [tookMs] = await Promise.all([firstQuery(system, startedMs), started]);
  return tookMs;
}

async function answers({ host, port, password }: BenchSystem): Promise<boolean> {
  const client = new Client({ host, port, password, user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
