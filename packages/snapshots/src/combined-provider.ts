/**
 * Several providers as one: all of them hold before the first one copies, and let go when the last one has copied, so that their sets show
 * one moment.
 *
 * The first one's set is the set; those of the others are there beside it. Where the first one makes none there is none. Where another
 * one fails, the first one's set stays, and is worth what that of a machine is that lost power.
 */
import { describeError } from '@rokka/kernel';
import type { Provider, SnapshotSetResult } from './provider.ts';

export class CombinedProvider implements Provider {
  readonly holds: boolean;
  readonly #first: Provider;
  readonly #others: readonly Provider[];

  /** Who made them disposes of them. */
  constructor(first: Provider, others: readonly Provider[]) {
    this.#first = first;
    this.#others = others;
    this.holds = [first, ...others].some(({ holds }) => holds);
  }

  /** One after the other: what one looks at must not be held by another. */
  async hold(signal: AbortSignal): Promise<void> {
    for (const each of [this.#first, ...this.#others]) await each.hold(signal);
  }

  async snapshot(signal: AbortSignal): Promise<SnapshotSetResult> {
    const take = async (each: Provider) => each.snapshot(signal);
    const others = Promise.allSettled(this.#others.map(take));
    const [first] = await Promise.allSettled([take(this.#first)]);
    const rest = await others;
    if (first.status === 'rejected') throw first.reason;
    const also = rest.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const amiss = rest.flatMap((one) => (one.status === 'rejected' ? [describeError(one.reason)] : []));
    return { ...first.value, also, ...(amiss.length > 0 && { amiss }) };
  }

  /** All of them, in reverse, whatever one of them says. @throws what the first says that fails */
  async release(signal: AbortSignal): Promise<void> {
    const failures: unknown[] = [];
    for (const each of [this.#first, ...this.#others].reverse())
      try {
        await each.release(signal);
      } catch (error) {
        failures.push(error);
      }
    if (failures.length > 0) throw failures[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
