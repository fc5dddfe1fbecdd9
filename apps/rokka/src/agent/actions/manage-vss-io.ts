/**
 * `aws:manageVssIO`: Freeze brings the applications of the instance to a safe point and holds them; whoever asked takes the snapshots by himself, and
 * Thaw lets them go on. Between the two are ten seconds at most: then they go on by themselves, and Thaw says that it came too
 * late. Volumes are not held: they have a way of their own to be of one moment (CreateSnapshots).
 *
 * Nothing is kept of it but in this process: with it, what writers hold ends.
 */
import { type Clock, Deferred, describeError, isCoded } from '@rokka/kernel';
import { coordinate, type Coordination, HOLD_MS_MAX, type Provider } from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import type { Action, ActionInput, ActionResult } from '../action.ts';
import { failed, succeeded } from '../action.ts';
import { textOf } from '../inputs.ts';
import { demandPackage, type VssOptions } from './create-vss-snapshot.ts';
import { isAwsError } from '../aws-answers.ts';
import { attachedVolumes, type AttachedVolume } from '../own-instance.ts';

type IoOptions = Pick<VssOptions, 'clock' | 'ec2For' | 'writersFor' | 'leaseWriters' | 'packages'>;

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

/** Applications that are held until somebody says so, or until the time is over. */
class Pause implements Provider {
  readonly holds = true;
  readonly #clock: Clock;
  readonly #begun = new Deferred<void>();
  readonly #over = new Deferred<void>();
  isOver = false;

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

  async hold(): Promise<void> {
    this.#begun.resolve();
  }

  /** What others take meanwhile. @throws ROKKA_THAWED_LATE */
  async snapshot(): Promise<{ id: string; snapshots: [] }> {
    const late = () => this.#over.reject(rokkaErrors.ROKKA_THAWED_LATE([HOLD_MS_MAX]));
    const cancel = this.#clock.after(HOLD_MS_MAX, late, { keepAlive: true });
    try {
      await this.#over.promise;
      return { id: '', snapshots: [] };
    } finally {
      cancel();
      this.isOver = true;
    }
  }

  async release(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}

  course: Promise<Coordination> | undefined;
}

async function freeze({ delivery, say, signal }: ActionInput, options: IoOptions): Promise<Pause> {
  const { clock, ec2For, packages } = options;
  demandPackage(packages);
  const client = await ec2For(delivery.scope, delivery.instance);
  const volumes = await attachedVolumes(client, delivery.instance, signal).finally(() => client.destroy());
  const pause = new Pause(clock);
  pause.course = pauseAll({ volumes, pause, signal }, options);
  // Whoever thaws meets what it ends with.
  pause.course.catch(() => {});
  const over = await Promise.race([pause.begun, pause.course]);
  if (over) throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([amissIn(over).join('; ') || 'it ended']);
  say(`Applications are held, for ${HOLD_MS_MAX} ms at most.\n`);
  return pause;
}

async function thaw(pause: Pause | undefined, { say }: ActionInput): Promise<ActionResult> {
  if (!pause?.course) return failed('nothing is frozen: it never was, or the agent has begun anew');
  pause.end();
  const course = await pause.course;
  say(`Frozen for ${Math.round(course.frozenForMs ?? 0)} ms.\n`);
  const amiss = amissIn(course);
  return amiss.length === 0 ? succeeded : failed(amiss.join('\n'));
}

const amissIn = ({ veto, doubts }: Coordination): string[] => [
  ...(veto ? [`${veto.who} at ${veto.step}: ${veto.why}`] : []),
  ...doubts,
];

/** Whoever cancels the command that froze lets go; once that has ended, only Thaw and the time do. */
async function pauseAll(
  of: { volumes: readonly AttachedVolume[]; pause: Pause; signal: AbortSignal },
  { clock, writersFor, leaseWriters }: IoOptions,
): Promise<Coordination> {
  const { volumes, pause, signal } = of;
  using _ = leaseWriters();
  await using owned = new AsyncDisposableStack();
  const tiers = await writersFor(volumes, { noWriters: false, signal });
  for (const writer of tiers.flat()) owned.use(writer);
  const freezing = new AbortController();
  const stop = () => freezing.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  void pause.begun.then(() => signal.removeEventListener('abort', stop));
  return await coordinate({ tiers, provider: pause, clock, signal: freezing.signal });
}
