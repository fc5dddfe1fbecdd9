/**
 * The simulator: generate a schedule from a seed, run it, hear what broke; many seeds at once; a failing one made small.
 * docs/simulator.md says how to add actors, steps and oracles.
 */
export { BrokenInvariant } from './broken-invariant.ts';
export type { SimEvent } from './events.ts';
export { generate } from './generate.ts';
export { hunt, type HuntOptions, type HuntSummary } from './hunt.ts';
export type { SeedReport } from './hunt-worker.ts';
export { keptRegressions, type Regression } from './regressions.ts';
export { runSchedule, type RunOptions, type RunReport } from './run.ts';
export type { Schedule, Step } from './schedule.ts';
export { shrink, type ShrinkOptions } from './shrink.ts';
export { traceLine } from './trace.ts';
