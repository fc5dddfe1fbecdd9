/** A thread of `hunt`: runs the seeds that it is given, one after the other. */
import { parentPort } from 'node:worker_threads';
import { describeError, must, systemClock, withMutants } from '@rokka/kernel';
import { generate } from './generate.ts';
import { hasLongPauses } from './long-pauses.ts';
import { runSchedule } from './run.ts';

export interface HuntTask {
  seed: number;
  checkDeterminism: boolean;
  mutants: readonly string[];
}

/** What a seed came to, as it crosses from thread to thread. */
export interface SeedReport {
  seed: number;
  broken: { readonly invariant: string; readonly message: string } | undefined;
  hash: number;
  events: number;
  records: number;
  virtualMs: number;
  /** Of this thread: what a second of the wall clock is worth where several run. */
  realMs: number;
  /** Its faults outlast deadlines (long-pauses.ts). */
  lasts: boolean;
  faults: [string, number][];
}

async function runSeed(task: HuntTask): Promise<SeedReport> {
  const startedMs = systemClock.nowMs();
  const schedule = generate(task.seed);
  const once = () => withMutants(task.mutants, () => runSchedule(schedule));
  const { seed, broken, hash, events, records, virtualMs, faults } = await once();
  const report: SeedReport = {
    seed,
    broken: broken && { invariant: broken.invariant, message: broken.message },
    hash,
    events,
    records,
    virtualMs,
    realMs: systemClock.nowMs() - startedMs,
    lasts: hasLongPauses(schedule),
    faults: [...faults],
  };
  if (!task.checkDeterminism || broken) return report;
  const again = await once();
  if (again.hash !== hash)
    report.broken = { invariant: 'determinism', message: `two runs gave ${hash} and ${again.hash}` };
  return report;
}

/** The simulator itself is at fault; the hunt ends with it like with any other. */
function failed(seed: number, error: unknown): SeedReport {
  const broken = { invariant: 'simulator', message: `simulator: ${describeError(error)}` };
  return { seed, broken, hash: 0, events: 0, records: 0, virtualMs: 0, realMs: 0, lasts: false, faults: [] };
}

// Coded errors are made by the thousand here, and whoever looks for a reason replays the seed with its trace.
Error.stackTraceLimit = 0;
const port = must(parentPort, 'a worker thread');
port.on('message', (task: HuntTask) => {
  void runSeed(task)
    .catch((error: unknown) => failed(task.seed, error))
    .then((report) => port.postMessage(report));
});
