/**
 * `aws:manageVssIO`: Freeze brings the applications of the instance to a safe point and holds them; whoever asked takes the snapshots by himself, and
 * Thaw lets them go on. Between the two are ten seconds at most: then they go on by themselves, and Thaw says that it came too
 * late. Volumes are not held: they have a way of their own to be of one moment (CreateSnapshots).
 *
 * Nothing is kept of it but in this process: with it, what writers hold ends.
 */
import { type Clock, Deferred, describeError, isCoded } from '@rokka/kernel';
import { coordinate, type Coordination, HOLD_MS_MAX, type Provider, type Writer } from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import type { Action, ActionInput, ActionResult } from '../action.ts';
import { failed, succeeded } from '../action.ts';
import { textOf } from '../inputs.ts';
import type { VssOptions } from './create-vss-snapshot.ts';
import { attachedVolumes } from '../own-instance.ts';

type IoOptions = Pick<VssOptions, 'clock' | 'ec2For' | 'writersFor' | 'recoverWriters'>;

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
        const pause = await freeze(input, options);
        frozen.set(instance, pause);
        return succeeded;
      } catch (error) {
        if (!isCoded(error)) throw error;
        return failed(describeError(error));
      }
    },
    recover: async () => `Nothing is frozen any more. ${await options.recoverWriters()}`,
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
  const { clock, ec2For, writersFor } = options;
  const client = await ec2For(delivery.scope, delivery.instance);
  const volumes = await attachedVolumes(client, delivery.instance, signal).finally(() => client.destroy());
  const tiers = await writersFor(volumes, { noWriters: false, signal });
  const pause = new Pause(clock);
  pause.course = pauseAll(tiers, pause, clock);
  const over = await Promise.race([pause.begun, pause.course]);
  if (over) throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([vetoOf(over)]);
  say(`${tiers.flat().length} writers are frozen, for ${HOLD_MS_MAX} ms at most.\n`);
  return pause;
}

async function thaw(pause: Pause | undefined, { say }: ActionInput): Promise<ActionResult> {
  if (!pause?.course) return failed('nothing is frozen: it never was, or the agent has begun anew');
  pause.end();
  const { veto, doubts, frozenForMs } = await pause.course;
  say(`Frozen for ${Math.round(frozenForMs ?? 0)} ms.\n`);
  const amiss = [...(veto ? [`${veto.who} at ${veto.step}: ${veto.why}`] : []), ...doubts];
  return amiss.length === 0 ? succeeded : failed(amiss.join('\n'));
}

const vetoOf = ({ veto }: Coordination) => (veto ? `${veto.who} at ${veto.step}: ${veto.why}` : 'it ended');

async function pauseAll(tiers: Writer[][], provider: Pause, clock: Clock): Promise<Coordination> {
  await using owned = new AsyncDisposableStack();
  for (const writer of tiers.flat()) owned.use(writer);
  return await coordinate({ tiers, provider, clock });
}
