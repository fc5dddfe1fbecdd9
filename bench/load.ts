/** The same operation again and again, so many at a time, for so long. */
import { interrupted } from './interruption.ts';
import { percentile } from './report.ts';

export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the processes that were named. */
  readonly cpuUsPerOperation: number;
}

/** @param options.cpuSeconds what has been used so far */
export async function load(
  options: { inFlight: number; seconds: number; cpuSeconds?: () => number },
  operation: () => Promise<unknown>,
): Promise<Load> {
  const { inFlight, seconds, cpuSeconds = () => Number.NaN } = options;
  const latenciesMs: number[] = [];
  const cpuBefore = cpuSeconds();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  const lane = async () => {
    for (let fromMs = startMs; fromMs < endMs && !interrupted.aborted;) {
      await operation();
      const nowMs = performance.now();
      latenciesMs.push(nowMs - fromMs);
      fromMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  interrupted.throwIfAborted();
  const count = latenciesMs.length;
  return {
    perSecond: (count * 1000) / (performance.now() - startMs),
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    cpuUsPerOperation: ((cpuSeconds() - cpuBefore) * 1e6) / count,
  };
}
