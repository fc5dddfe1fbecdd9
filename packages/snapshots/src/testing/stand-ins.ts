/** A writer and a provider that do what a test says, at any of their steps, and keep what was done to them. */
import type { Clock, SeededRandom } from '@rokka/kernel';
import { HOLD_MS_MAX, type Provider, type SnapshotSetResult } from '../provider.ts';
import type { Component, Frozen, Level, Writer } from '../writer.ts';

/** `hang`: until it is told to stop; `deaf`: for ever; `late`: what was asked is done, and said too late. */
export type Behaviour = 'well' | 'refuse' | 'hang' | 'deaf' | 'late' | 'throw';

export type Behaviours = Partial<Record<string, Behaviour>>;

const DELAY_MS = 5;

abstract class StandIn {
  readonly calls: string[] = [];
  readonly #clock: Clock;
  readonly #behaviours: Behaviours;

  constructor(clock: Clock, behaviours: Behaviours = {}) {
    this.#clock = clock;
    this.#behaviours = behaviours;
  }

  /** `done` is what the step does, before it answers. */
  protected async act(step: string, signal: AbortSignal, done: () => void = () => {}): Promise<void> {
    this.calls.push(step);
    const behaviour = this.#behaviours[step] ?? 'well';
    if (behaviour === 'throw') throw new TypeError('it has a bug');
    await this.#clock.sleep(DELAY_MS);
    if (behaviour === 'refuse') throw new Error('it does not want to');
    if (behaviour !== 'hang' && behaviour !== 'deaf') done();
    if (behaviour === 'deaf') await new Promise(() => {});
    if (behaviour === 'hang' || behaviour === 'late')
      await new Promise<void>((resolve, reject) =>
        signal.addEventListener('abort', () =>
          behaviour === 'late' ? resolve() : reject(signal.reason as Error),
        ),
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export class StandInWriter extends StandIn implements Writer {
  readonly id: string;
  readonly level: Level;
  isFrozen = false;
  /** When it was frozen and went on. */
  readonly spans: { fromMs: number; toMs?: number }[] = [];
  finished: boolean | undefined;
  readonly #nowMs: () => number;

  constructor(id: string, of: { clock: Clock; behaviours?: Behaviours; level?: Level }) {
    super(of.clock, of.behaviours);
    this.id = id;
    this.level = of.level ?? 'application';
    this.#nowMs = () => of.clock.nowMs();
  }

  async identify(signal: AbortSignal): Promise<Component[]> {
    await this.act('identify', signal);
    return [{ name: this.id, paths: [`/volume/${this.id}`] }];
  }

  prepare(signal: AbortSignal): Promise<void> {
    return this.act('prepare', signal);
  }

  async freeze(signal: AbortSignal): Promise<Frozen> {
    await this.act('freeze', signal, () => {
      this.isFrozen = true;
      this.spans.push({ fromMs: this.#nowMs() });
    });
    return { level: this.level, position: '0/42' };
  }

  thaw(signal: AbortSignal): Promise<void> {
    return this.act('thaw', signal, () => this.#goOn());
  }

  /** Whatever it was told to do: an abort that fails still lets go where it can. */
  abort(signal: AbortSignal): Promise<void> {
    this.#goOn();
    return this.act('abort', signal);
  }

  async finish({ succeeded }: { succeeded: boolean }, signal: AbortSignal): Promise<void> {
    this.finished = succeeded;
    await this.act('finish', signal);
  }

  #goOn(): void {
    const last = this.spans.at(-1);
    if (this.isFrozen && last) last.toMs = this.#nowMs();
    this.isFrozen = false;
  }
}

/** Holds, and lets go by itself when it must. */
export class StandInProvider extends StandIn implements Provider {
  readonly holds: boolean;
  isHeld = false;
  /** When the moment was that the set shows. */
  cutAtMs: number | undefined;
  readonly spans: { fromMs: number; toMs?: number }[] = [];
  readonly #clock: Clock;
  #cancel = () => {};

  constructor(of: { clock: Clock; behaviours?: Behaviours | undefined; holds?: boolean | undefined }) {
    super(of.clock, of.behaviours);
    this.#clock = of.clock;
    this.holds = of.holds ?? true;
  }

  hold(signal: AbortSignal): Promise<void> {
    return this.act('hold', signal, () => {
      this.isHeld = true;
      this.spans.push({ fromMs: this.#clock.nowMs() });
      this.#cancel = this.#clock.after(HOLD_MS_MAX, () => this.#letGo());
    });
  }

  async snapshot(signal: AbortSignal): Promise<SnapshotSetResult> {
    await this.act('snapshot', signal, () => (this.cutAtMs = this.#clock.nowMs()));
    return { id: 'set-1', snapshots: [{ volume: 'vol-1', snapshot: 'snap-1' }] };
  }

  async release(signal: AbortSignal): Promise<void> {
    const held = this.isHeld;
    this.#letGo();
    await this.act('release', signal);
    if (!held) throw new Error('it had let go');
  }

  #letGo(): void {
    this.#cancel();
    const last = this.spans.at(-1);
    if (this.isHeld && last) last.toMs = this.#clock.nowMs();
    this.isHeld = false;
  }
}

const STEPS = ['identify', 'prepare', 'freeze', 'thaw', 'abort', 'finish'];
const PROVIDER_STEPS = ['hold', 'snapshot', 'release'];
const WRONGS: readonly Behaviour[] = ['refuse', 'hang', 'deaf', 'late', 'throw'];

/** Mostly well. */
export function randomBehaviours(random: SeededRandom, of: 'writer' | 'provider'): Behaviours {
  const steps = of === 'writer' ? STEPS : PROVIDER_STEPS;
  return Object.fromEntries(
    steps.flatMap((step) => (random.chance(1 / 12) ? [[step, random.pick(WRONGS)]] : [])),
  );
}
