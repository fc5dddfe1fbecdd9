/**
 * `rokka simulate`: hunts for a schedule that loses or resurrects an acknowledged write, in a whole cluster on virtual time.
 * Exit status 1 at the first seed that breaks an invariant; it says how to see that seed again. docs/simulator.md.
 */
import * as fs from 'node:fs';
import { systemClock } from '@rokka/kernel';
import type { HuntSummary, RunReport, Schedule } from '@rokka/simulator';
import type { Arguments } from '../arguments.ts';
import { rokkaErrors } from '../errors.ts';
import { Terminal } from '../terminal.ts';

export interface SimulateOptions {
  /** Deliberate bugs for the threads of a range (docs/mutants.md): no command line has them, only a test. */
  mutants?: readonly string[];
  terminal?: Terminal;
}

/** Where there is no terminal, a line for each seed would be too much. */
const PROGRESS_MS = 2_000;

export async function simulate(args: Arguments, options: SimulateOptions = {}): Promise<number> {
  const { seed, replay } = args.simulate;
  const { terminal = new Terminal(), mutants = [] } = options;
  if (replay !== undefined) return one(args, keptSchedule(replay), terminal);
  if (seed !== undefined) {
    const { generate } = await import('@rokka/simulator');
    return one(args, generate(seed), terminal);
  }
  return many(args, { terminal, mutants });
}

/** @throws ROKKA_BAD_VALUE */
function keptSchedule(file: string): Schedule {
  try {
    const { schedule } = JSON.parse(fs.readFileSync(file, 'utf8')) as { schedule?: Schedule };
    if (schedule?.version === 1) return schedule;
  } catch {
    // No file, or no JSON: the same to whoever named it.
  }
  throw rokkaErrors.ROKKA_BAD_VALUE(['replay', file, 'a file that --shrink has written']);
}

async function many(args: Arguments, options: Required<SimulateOptions>): Promise<number> {
  const { hunt } = await import('@rokka/simulator');
  const { terminal, mutants } = options;
  const { from, seeds, checkDeterminism } = args.simulate;
  let shownMs = -Infinity;
  const summary = await hunt({
    from,
    seeds,
    checkDeterminism,
    mutants,
    onProgress: (sofar) => {
      const nowMs = systemClock.nowMs();
      if (nowMs - shownMs < PROGRESS_MS) return;
      shownMs = nowMs;
      terminal.progress(`rokka: ${sofar.passed} of ${seeds} seeds passed, ${timesReal(sofar)} real time`);
    },
  });
  terminal.line(describeSummary(summary));
  const { broken } = summary;
  if (!broken) return 0;
  terminal.line(`rokka: seed ${broken.seed} broke ${broken.broken?.message}`);
  terminal.line(`  rokka simulate --seed ${broken.seed} --trace          shows what happened`);
  terminal.line(
    `  rokka simulate --seed ${broken.seed} --shrink FILE    leaves the smallest schedule in FILE`,
  );
  return 1;
}

/** One schedule, with its trace or made small. */
async function one(args: Arguments, schedule: Schedule, terminal: Terminal): Promise<number> {
  const { runSchedule, traceLine } = await import('@rokka/simulator');
  const { trace, shrink } = args.simulate;
  const report = await runSchedule(
    schedule,
    trace ? { onEvent: (atMs, event) => terminal.line(traceLine(atMs, event)) } : {},
  );
  terminal.line(describeReport(report));
  if (report.broken && shrink !== undefined) await makeSmall(schedule, { report, file: shrink, terminal });
  return report.broken ? 1 : 0;
}

async function makeSmall(
  schedule: Schedule,
  options: { report: RunReport; file: string; terminal: Terminal },
): Promise<void> {
  const { runSchedule, shrink } = await import('@rokka/simulator');
  const { report, file, terminal } = options;
  const smallest = await shrink(schedule, {
    broken: async (candidate) => (await runSchedule(candidate)).broken?.invariant,
    onProgress: (steps, runs) => terminal.progress(`rokka: ${steps} steps left after ${runs} runs`),
  });
  const kept = { note: report.broken?.message, invariant: report.broken?.invariant, schedule: smallest };
  fs.writeFileSync(file, `${JSON.stringify(kept, undefined, 2)}\n`);
  terminal.line(`rokka: ${smallest.steps.length} of ${schedule.steps.length} steps are left, in ${file}`);
  terminal.line(`  rokka simulate --replay ${file} --trace`);
}

function describeReport(report: RunReport): string {
  const { seed, hash, events, records, virtualMs, broken } = report;
  const facts = `seed ${seed}: ${events} events, ${records} records, ${(virtualMs / 1000).toFixed(1)} s of virtual time, hash ${hash.toString(16)}`;
  return broken ? `${facts}\nrokka: it broke ${broken.message}` : `${facts}; nothing broke`;
}

function describeSummary(summary: HuntSummary): string {
  const { passed, events, records, virtualMs, realMs, cpuMs, faults, broken } = summary;
  const inSeconds = (ms: number) => (ms / 1000).toFixed(1);
  const kinds = [...faults].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`);
  return [
    `histories   ${passed + (broken ? 1 : 0)}, ${passed} of them without a fault of ours`,
    `events      ${events}, of ${records} records`,
    `faults      ${kinds.join(', ')}`,
    `time        ${(virtualMs / 1000).toFixed(0)} s of virtual time in ${inSeconds(realMs)} s, ${inSeconds(cpuMs)} s of the processor's, ${timesReal(summary)} real time`,
    `pauses      ${describeLasting(summary)}`,
  ].join('\n');
}

/** What lasts is mostly pauses, which cost nothing: only the others can be compared from day to day. */
function describeLasting({ virtualMs, realMs, lasting }: HuntSummary): string {
  const others = { virtualMs: virtualMs - lasting.virtualMs, realMs: realMs - lasting.realMs };
  return `${lasting.histories} histories last, ${timesReal(lasting)}; the others ${timesReal(others)} real time`;
}

function timesReal({ virtualMs, realMs }: Pick<HuntSummary, 'virtualMs' | 'realMs'>): string {
  return `${(virtualMs / Math.max(1, realMs)).toFixed(0)} times`;
}
