/** The simulator: generate a schedule from a seed, run it, hear what broke. */
export { generate } from './generate.ts';
export { runSchedule, type RunOptions, type RunReport } from './run.ts';
export type { Schedule, Step } from './schedule.ts';
