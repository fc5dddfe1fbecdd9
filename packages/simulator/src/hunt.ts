/**
 * Runs many seeds, spread over the machine's cores, until one breaks an invariant or all have passed. What a seed does
 * depends on nothing but the seed, so it makes no difference which core runs it.
 */
import * as os from 'node:os';
import { Worker } from 'node:worker_threads';
import { Deferred, systemClock } from '@rokka/kernel';
import type { HuntTask, SeedReport } from './hunt-worker.ts';

export interface HuntOptions {
  from: number;
  seeds: number;
  /** Default: the machine's cores. */
  workers?: number;
  /** Run each seed twice and compare. */
  checkDeterminism?: boolean;
  /** Deliberate bugs to switch on (kernel's mutants), for tests of the simulator. */
  mutants?: readonly string[];
  onProgress?: (summary: HuntSummary) => void;
}

export interface HuntSummary {
  passed: number;
  events: number;
  records: number;
  virtualMs: number;
  realMs: number;
  /** Processor time of this process, all its threads together. */
  cpuMs: number;
  faults: Map<string, number>;
  /** Of the histories whose faults outlast deadlines, which are mostly pauses: how many, and their share of the times above. */
  lasting: { histories: number; virtualMs: number; realMs: number };
  /** The lowest seed that broke something, of those that ran. */
  broken: SeedReport | undefined;
}

export async function hunt(options: HuntOptions): Promise<HuntSummary> {
  return new Hunt(options).run();
}

class Hunt {
  readonly #options: HuntOptions;
  readonly #summary: HuntSummary;
  readonly #startedMs = systemClock.nowMs();
  readonly #cpuAtStart = process.cpuUsage();
  /** Of all threads together, lasting histories and all. */
  #threadsMs = { lasting: 0, all: 0 };
  #next: number;

  constructor(options: HuntOptions) {
    this.#options = options;
    this.#next = options.from;
    this.#summary = {
      passed: 0,
      events: 0,
      records: 0,
      virtualMs: 0,
      realMs: 0,
      cpuMs: 0,
      faults: new Map(),
      lasting: { histories: 0, virtualMs: 0, realMs: 0 },
      broken: undefined,
    };
  }

  async run(): Promise<HuntSummary> {
    const { workers = os.availableParallelism(), seeds } = this.#options;
    await Promise.all(Array.from({ length: Math.min(workers, seeds) }, () => this.#work()));
    this.#noteTimes();
    return this.#summary;
  }

  #noteTimes(): void {
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    this.#summary.cpuMs = (user + system) / 1000;
    this.#summary.realMs = systemClock.nowMs() - this.#startedMs;
    const { lasting, all } = this.#threadsMs;
    this.#summary.lasting.realMs = all === 0 ? 0 : (this.#summary.realMs * lasting) / all;
  }

  /** One worker's life: it is given seed after seed. */
  async #work(): Promise<void> {
    const worker = new Worker(new URL('./hunt-worker.ts', import.meta.url));
    const ended = new Deferred<void>();
    const give = () => {
      const { from, seeds, checkDeterminism = false, mutants = [] } = this.#options;
      if (this.#summary.broken || this.#next >= from + seeds) return ended.resolve();
      worker.postMessage({ seed: this.#next++, checkDeterminism, mutants } satisfies HuntTask, []);
    };
    worker.on('message', (report: SeedReport) => {
      this.#note(report);
      give();
    });
    worker.on('error', ended.reject);
    try {
      give();
      await ended.promise;
    } finally {
      await worker.terminate();
    }
  }

  #note(report: SeedReport): void {
    const summary = this.#summary;
    summary.events += report.events;
    summary.records += report.records;
    summary.virtualMs += report.virtualMs;
    this.#threadsMs.all += report.realMs;
    if (report.lasts) {
      this.#threadsMs.lasting += report.realMs;
      summary.lasting.histories++;
      summary.lasting.virtualMs += report.virtualMs;
    }
    this.#noteTimes();
    for (const [kind, count] of report.faults)
      summary.faults.set(kind, (summary.faults.get(kind) ?? 0) + count);
    if (!report.broken) summary.passed++;
    else if (!summary.broken || report.seed < summary.broken.seed) summary.broken = report;
    this.#options.onProgress?.(summary);
  }
}
