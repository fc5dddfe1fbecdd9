/**
 * `aws:manageVssIO`: Freeze brings the applications of the instance to a safe point and holds them, and then the local file systems of the owner's list;
 * whoever asked takes the snapshots by himself, and Thaw lets all go on. Between the two are ten seconds at most: then they go on by themselves,
 * and Thaw says that it came too late. Volumes are not held: CreateSnapshots holds them for itself, and would end a hold of somebody else's.
 *
 * Nothing is kept of it but in this process: with it, what writers hold ends, and file systems are thawed by a process that outlives it.
 */
import { type Clock, Deferred, describeError, isCoded } from '@rokka/kernel';
import {
  coordinate,
  type Coordination,
  HOLD_MS_MAX,
  type LocalProvider,
  type LocalSnapshot,
  type Provider,
} from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import type { Action, ActionInput, ActionResult } from '../action.ts';
import { failed, succeeded } from '../action.ts';
import { textOf } from '../inputs.ts';
import { demandPackage, type VssOptions } from './create-vss-snapshot.ts';
import { isAwsError } from '../aws-answers.ts';
import { type AttachedVolume, noVolumeOf, ownVolumes } from '../own-instance.ts';

type IoOptions = Pick<
  VssOptions,
  'clock' | 'ec2For' | 'writersFor' | 'leaseWriters' | 'packages' | 'localFileSystems'
>;

/** The pause ends by itself first, and says so in its own words. */
const GRACE_MS = 1_000;

export function manageVssIo(options: IoOptions): Action {
  /** By instance. */
  const frozen = new Map<string, Pause>();
  return {
    async run(input: ActionInput): Promise<ActionResult> {
      const { instance } = input.delivery;
      const known = frozen.get(instance);
      try {
        if (textOf(input.inputs, 'Action') === 'Thaw') {
          frozen.delete(instance);
          return await thaw(known, input);
        }
        if (known && !known.isOver) return failed('it is frozen already: thaw it first');
        frozen.set(instance, await freeze(input, options));
        return succeeded;
      } catch (error) {
        if (!isCoded(error) && !isAwsError(error)) throw error;
        return failed(describeError(error));
      }
    },
    // What its scripts had stopped went on when the agent began.
    recover: async () => 'Nothing is frozen any more.',
  };
}

/** Applications and local file systems that are held until somebody says so, or until the time is over. */
class Pause implements Provider {
  readonly holds = true;
  readonly #clock: Clock;
  readonly #begun = new Deferred<void>();
  readonly #over = new Deferred<void>();
  #untilMs = 0;
  isOver = false;
  /** Undefined where the owner's list has none, or they were not looked at yet. */
  local: Pick<LocalProvider, 'hold' | 'release' | 'frozenForMs'> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when everybody holds. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  end(): void {
    this.#over.resolve();
  }

  async hold(signal: AbortSignal): Promise<void> {
    this.#untilMs = this.#clock.nowMs() + HOLD_MS_MAX;
    await this.local?.hold(signal);
    // Too late: it is let go already, and nobody is told that he may copy.
    signal.throwIfAborted();
    this.#begun.resolve();
  }

  /** What others take meanwhile. @throws ROKKA_THAWED_LATE */
  async snapshot(): Promise<{ id: string; snapshots: [] }> {
    const late = () => this.#over.reject(rokkaErrors.ROKKA_THAWED_LATE([HOLD_MS_MAX]));
    const leftMs = Math.max(0, this.#untilMs - this.#clock.nowMs());
    const cancel = this.#clock.after(leftMs, late, { keepAlive: true });
    try {
      await this.#over.promise;
      return { id: '', snapshots: [] };
    } finally {
      cancel();
      this.isOver = true;
    }
  }

  /** @throws what says that file systems were not frozen until now */
  async release(signal: AbortSignal): Promise<void> {
    await this.local?.release(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  course: Promise<Coordination> | undefined;
}

async function freeze({ delivery, say, signal }: ActionInput, options: IoOptions): Promise<Pause> {
  const { clock, ec2For, packages } = options;
  demandPackage(packages);
  const client = await ec2For(delivery.scope, delivery.instance);
  const { data: volumes } = await ownVolumes(client, delivery.instance, signal).finally(() =>
    client.destroy(),
  );
  const pause = new Pause(clock);
  pause.course = pauseAll({ instance: delivery.instance, volumes, pause, signal }, options);
  // Whoever thaws meets what it ends with.
  const over = () => void (pause.isOver = true);
  pause.course.then(over, over);
  const ended = await Promise.race([pause.begun, pause.course]);
  if (ended) throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([amissIn(ended).join('; ') || 'it ended']);
  const what = pause.local ? 'Applications and local file systems' : 'Applications';
  say(`${what} are held, for ${HOLD_MS_MAX} ms at most.\n`);
  return pause;
}

async function thaw(pause: Pause | undefined, { say }: ActionInput): Promise<ActionResult> {
  if (!pause?.course) return failed('nothing is frozen: it never was, or the agent has begun anew');
  pause.end();
  const course = await pause.course;
  say(`Frozen for ${Math.round(course.frozenForMs ?? 0)} ms.\n`);
  const localMs = pause.local?.frozenForMs;
  if (localMs !== undefined) say(`Local file systems were frozen for ${localMs} ms.\n`);
  const amiss = amissIn(course);
  return amiss.length === 0 ? succeeded : failed(amiss.join('\n'));
}

const amissIn = ({ veto, doubts }: Coordination): string[] => [
  ...(veto ? [`${veto.who} at ${veto.step}: ${veto.why}`] : []),
  ...doubts,
];

/** Whoever cancels the command that froze lets go; once that has ended, only Thaw and the time do. */
async function pauseAll(
  of: { instance: string; volumes: readonly AttachedVolume[]; pause: Pause; signal: AbortSignal },
  { clock, writersFor, leaseWriters, localFileSystems }: IoOptions,
): Promise<Coordination> {
  const { instance, volumes, pause, signal } = of;
  using _ = leaseWriters();
  const local: LocalSnapshot | undefined = await localFileSystems.open(signal);
  // Whoever froze makes the copies: this set stays without any, and goes.
  await using _set = local?.set;
  await using owned = new AsyncDisposableStack();
  // Thawed before anything of the writers is given up, which may have files there.
  await using _thawing = local?.provider;
  if (volumes.length === 0 && !local) throw noVolumeOf(instance);
  pause.local = local?.provider;
  const places = [...volumes, ...(local?.provider.volumes ?? [])];
  const tiers = await writersFor(places, { noWriters: false, signal });
  for (const writer of tiers.flat()) owned.use(writer);
  const freezing = new AbortController();
  const stop = () => freezing.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  void pause.begun.then(() => signal.removeEventListener('abort', stop));
  const limits = { holdMs: HOLD_MS_MAX + GRACE_MS };
  return await coordinate({ tiers, provider: pause, clock, limits, signal: freezing.signal });
}
