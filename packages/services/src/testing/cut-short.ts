/**
 * A crash at any point: an operation cut short before and after every write that it makes. The keeper of another process goes on;
 * then what is told is so, nothing is left over, and the operation can be asked for again.
 */
import assert from 'node:assert/strict';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import { atEveryCrash, Crash, type CrashAt, FailingRegistry } from './failing-registry.ts';
import type { ServiceBench } from './service-bench.ts';

/** What there is to know of a service. */
export interface Crashing<B, P> {
  open(registry: Registry): B;
  /** Another process, over this registry. */
  processOver(bench: B, registry: Registry): P;
  /** Whatever is told is so. */
  checkTruth(bench: B): Promise<void>;
  checkNothingLeft(bench: B): Promise<void>;
}

export interface Scenario<B, P> {
  readonly before?: (bench: B) => Promise<unknown>;
  readonly operation: (process: P, bench: B) => Promise<unknown>;
  /** What is wrong if it is asked for once more after all. */
  readonly again?: RegExp;
  readonly after: (bench: B) => Promise<unknown>;
}

/** @returns at how many points it was cut short */
export function cutShort<B extends ServiceBench & { process: P }, P>(
  of: Crashing<B, P>,
  { before, operation, again, after }: Scenario<B, P>,
): Promise<number> {
  return atEveryCrash(async (at: CrashAt) => {
    const registry = new MemoryRegistry();
    using bench = of.open(registry);
    await before?.(bench);
    const failing = new FailingRegistry(registry.another(), at);
    await operation(of.processOver(bench, failing), bench).catch((error: unknown) =>
      assert.ok(error instanceof Crash, String(error)),
    );
    await of.checkTruth(bench);
    await bench.turns();
    await of.checkTruth(bench);
    await of.checkNothingLeft(bench);
    await operation(bench.process, bench).catch((error: unknown) => {
      if (!again?.test((error as Error).name)) throw error;
    });
    await bench.turns(8);
    await of.checkTruth(bench);
    await of.checkNothingLeft(bench);
    await after(bench);
    const settled = await registry.list('');
    await bench.process.keeper.step();
    assert.deepEqual(await registry.list(''), settled, 'the keeper has nothing more to do');
    return failing.crashed;
  });
}
