/**
 * Makes a failing schedule small: leaves out steps, in large pieces first and then one by one (delta debugging, Zeller 1999),
 * and makes what is left simpler, as long as it still breaks the same invariant. Knows nothing of what a run is.
 */
import type { Schedule, Step } from './schedule.ts';

export interface ShrinkOptions {
  /** Which invariant the schedule breaks; undefined where none. */
  broken: (schedule: Schedule) => Promise<string | undefined>;
  /** Most runs; default 600. */
  runsMax?: number;
  onProgress?: (steps: number, runs: number) => void;
}

/** @returns the smallest schedule found that breaks the same invariant; the given one where it breaks none */
export async function shrink(schedule: Schedule, options: ShrinkOptions): Promise<Schedule> {
  const invariant = await options.broken(schedule);
  return invariant === undefined ? schedule : new Shrinker(schedule, invariant, options).run();
}

class Shrinker {
  readonly #options: ShrinkOptions;
  readonly #invariant: string;
  #best: Schedule;
  #runs = 0;

  constructor(schedule: Schedule, invariant: string, options: ShrinkOptions) {
    this.#best = schedule;
    this.#invariant = invariant;
    this.#options = options;
  }

  async run(): Promise<Schedule> {
    for (let before = -1; before !== this.#best.steps.length;) {
      before = this.#best.steps.length;
      await this.#cutTail();
      await this.#leaveOut();
    }
    await this.#simplify();
    await this.#leaveOut();
    return this.#best;
  }

  /** A run that breaks early does not need what comes later. */
  async #cutTail(): Promise<void> {
    let kept = 0;
    for (let tooMany = this.#best.steps.length; tooMany - kept > 1;) {
      const count = (kept + tooMany) >> 1;
      const steps = this.#best.steps.slice(0, count);
      if (await this.#try({ ...this.#best, steps, endMs: (steps.at(-1)?.atMs ?? 0) + 50 })) tooMany = count;
      else kept = count;
    }
  }

  async #leaveOut(): Promise<void> {
    for (let size = Math.ceil(this.#best.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let from = 0; from < this.#best.steps.length;) {
        const steps = this.#best.steps.filter((_, index) => index < from || index >= from + size);
        if (!(await this.#try({ ...this.#best, steps }))) from += size;
      }
    }
  }

  /** Fewer groups and clients, shorter faults, single operations. */
  async #simplify(): Promise<void> {
    const { knobs } = this.#best;
    for (const simpler of [
      { groups: 1 },
      { clients: 1 },
      { lateOnceIn: 1_000_000 },
      { allFull: true },
      { crowded: false },
      { shipBytesMax: 1024 * 1024 },
      { slowReads: false },
    ])
      await this.#try({ ...this.#best, knobs: { ...knobs, ...this.#best.knobs, ...simpler } });
    for (let index = 0; index < this.#best.steps.length; index++) {
      for (const simpler of simplerSteps(this.#best.steps[index])) {
        const steps = this.#best.steps.map((step, at) => (at === index ? simpler : step));
        await this.#try({ ...this.#best, steps });
      }
    }
  }

  async #try(schedule: Schedule): Promise<boolean> {
    const { broken, runsMax = 600, onProgress } = this.#options;
    if (this.#runs >= runsMax || schedule.steps.length === 0) return false;
    this.#runs++;
    if ((await broken(schedule)) !== this.#invariant) return false;
    this.#best = schedule;
    onProgress?.(schedule.steps.length, this.#runs);
    return true;
  }
}

function simplerSteps(step: Step): Step[] {
  const simpler: Step[] = [];
  if (step.kind === 'work' && step.operations > 1) simpler.push({ ...step, operations: 1 });
  if ('forMs' in step && step.forMs > 10) simpler.push({ ...step, forMs: 10 });
  if ('tear' in step && step.tear !== 'all') simpler.push({ ...step, tear: 'all' });
  return simpler;
}
