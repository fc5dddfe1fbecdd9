/** Schedules that once broke an invariant, made small and kept: they are run before anything else. */
import * as fs from 'node:fs';
import type { Schedule } from './schedule.ts';

export interface Regression {
  readonly name: string;
  /** What was wrong, in a sentence. */
  readonly note: string;
  /** The invariant that it broke. */
  readonly invariant: string;
  /** The deliberate bug that stands for what was wrong, where there is one: with it the schedule must fail again. */
  readonly mutant?: string;
  /** The commit that mended it, code or oracle; not there for what is mended by the one that keeps it, which does not know its own name. */
  readonly fixedBy?: string;
  readonly schedule: Schedule;
}

const DIRECTORY = new URL('../regressions/', import.meta.url);

/** All that are kept, by name. */
export function keptRegressions(): Regression[] {
  const names = fs.readdirSync(DIRECTORY).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => {
    const text = fs.readFileSync(new URL(name, DIRECTORY), 'utf8');
    return { ...(JSON.parse(text) as Omit<Regression, 'name'>), name: name.slice(0, -'.json'.length) };
  });
}
