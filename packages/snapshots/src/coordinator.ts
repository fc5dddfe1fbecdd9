/**
 * Carries out what coordination.ts says: asks writers and the provider, each with a signal that aborts at its deadline, and hands
 * their answers back.
 *
 * Who does not settle after its signal has aborted is waited for a little longer, so that it is not asked two things at once, and then
 * has failed. Whatever throws is a failure of whoever threw: writers are plug-ins, and a bug in one of them must not keep the
 * others frozen.
 *
 * Nothing outlives this process but what a provider or a writer takes care of by itself: sessions and locks end with the process, a
 * provider's hold ends by itself.
 */
import { type Clock, Deferred, describeError, must, unreachable } from '@rokka/kernel';
import {
  type Answer,
  type Ask,
  beginCoordination,
  type Coordination,
  type Limits,
  onAnswer,
  onStop,
  PROVIDER,
  type Results,
  type Step,
  type Turn,
} from './coordination.ts';
import { snapshotErrors } from './errors.ts';
import { FREEZE_MS_MAX, HOLD_MS_MAX, type Provider } from './provider.ts';
import type { Writer } from './writer.ts';

export const LIMITS: Limits = {
  identifyMs: 30_000,
  prepareMs: 600_000,
  freezeMs: FREEZE_MS_MAX,
  holdMs: HOLD_MS_MAX,
  thawMs: 10_000,
  finishMs: 60_000,
};
/** For who was told that its time is over. */
const GRACE_MS = 1_000;

export interface CoordinateOptions {
  /** In the order in which they freeze; they thaw in reverse. */
  readonly tiers: readonly (readonly Writer[])[];
  readonly provider: Provider;
  readonly clock: Clock;
  readonly limits?: Partial<Limits>;
  /** Aborted by whoever wants it no more: everything is let go, and the course ends as one with a veto. */
  readonly signal?: AbortSignal;
  /** Called at each change, before anybody is asked: for a journal, and for people. */
  onTurn?(now: Coordination): void;
}

/** Runs one snapshot to its end; resolves whatever became of it. */
export async function coordinate(options: CoordinateOptions): Promise<Coordination> {
  const { tiers, provider, clock, signal } = options;
  const plan = {
    tiers: tiers.map((tier) => tier.map(({ id }) => id)),
    holds: provider.holds,
    limits: { ...LIMITS, ...options.limits },
  };
  const run = new Course(options);
  const stop = () => run.stop(describeError(signal?.reason));
  signal?.addEventListener('abort', stop, { once: true });
  run.take(beginCoordination(plan, clock.nowMs()));
  if (signal?.aborted) stop();
  try {
    return await run.done;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

class Course {
  readonly #options: CoordinateOptions;
  readonly #writers: ReadonlyMap<string, Writer>;
  readonly #open = new Map<string, AbortController>();
  readonly #done = new Deferred<Coordination>();
  #now: Coordination | undefined;

  constructor(options: CoordinateOptions) {
    this.#options = options;
    this.#writers = new Map(options.tiers.flat().map((writer) => [writer.id, writer]));
  }

  get done(): Promise<Coordination> {
    return this.#done.promise;
  }

  take({ now, asks, cancel }: Turn): void {
    this.#now = now;
    this.#options.onTurn?.(now);
    for (const who of cancel) {
      const why = now.veto ? `${now.veto.who} refused` : 'nobody waits for it';
      this.#open.get(who)?.abort(snapshotErrors.SNAPSHOTS_STOPPED([why]));
    }
    for (const ask of asks) void this.#ask(ask).then((answer) => this.#answered(answer));
    if (now.step === 'done') this.#done.resolve(now);
  }

  stop(why: string): void {
    this.take(onStop(must(this.#now), why));
  }

  #answered(answer: Answer): void {
    this.#open.delete(answer.who);
    this.take(onAnswer(must(this.#now), answer, this.#options.clock.nowMs()));
  }

  async #ask({ who, step, untilMs }: Ask): Promise<Answer> {
    const { clock } = this.#options;
    const ms = Math.max(0, untilMs - clock.nowMs());
    const controller = new AbortController();
    this.#open.set(who, controller);
    const late = snapshotErrors.SNAPSHOTS_LATE([who, step, Math.round(ms)]);
    const cancelTimer = clock.after(ms, () => controller.abort(late), { keepAlive: true });
    const { signal } = controller;
    const work = this.#call(who, step, signal);
    try {
      const results = await Promise.race([work, overdue(signal, clock)]);
      return { who, step, ...results, ...(signal.aborted && { why: describeError(signal.reason) }) };
    } catch (error) {
      return { who, step, why: describeError(signal.aborted ? signal.reason : error) };
    } finally {
      cancelTimer();
    }
  }

  /** What is thrown at once counts as a rejection. */
  async #call(who: string, step: Step, signal: AbortSignal): Promise<Results> {
    const { provider } = this.#options;
    if (who === PROVIDER) return callProvider(provider, step, signal);
    const writer = must(this.#writers.get(who));
    switch (step) {
      case 'identify':
        return { components: await writer.identify(signal) };
      case 'freeze':
        return { frozen: await writer.freeze(signal) };
      case 'prepare':
      case 'thaw':
      case 'abort':
        await writer[step](signal);
        return {};
      case 'finish':
        await writer.finish({ succeeded: this.#succeeded }, signal);
        return {};
      case 'hold':
      case 'snapshot':
      case 'release':
        throw new Error(`no writer is asked to ${step}`);
      default:
        return unreachable(step);
    }
  }

  get #succeeded(): boolean {
    const { veto, doubts } = must(this.#now);
    return veto === undefined && doubts.length === 0;
  }
}

async function callProvider(provider: Provider, step: Step, signal: AbortSignal): Promise<Results> {
  if (step === 'snapshot') return { set: await provider.snapshot(signal) };
  if (step === 'hold') await provider.hold(signal);
  else await provider.release(signal);
  return {};
}

/** Rejects a while after the signal has aborted. */
function overdue(signal: AbortSignal, clock: Clock): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => void clock.after(GRACE_MS, () => reject(signal.reason as Error), { keepAlive: true });
    if (signal.aborted) give();
    else signal.addEventListener('abort', give, { once: true });
  });
}
