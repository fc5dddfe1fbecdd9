/**
 * `aws:restoreVssSnapshot`: the proof of a set of snapshots. `Test` makes volumes of them beside those in use, has verifiers look at them, and
 * takes them away again. `Replace` puts them in the places of the volumes that they show, which are kept.
 *
 * All rights are asked for before anything is made. Whatever fails from then on, or is cancelled, is undone (`undoing.ts`): `Test` leaves
 * nothing, and of `Replace` all volumes are new ones, or all are those that were there. Killed at any moment, the agent finds by tags what it had
 * made, and undoes it, or finds that all had been replaced. What happened is told as it is, also where undoing did not succeed.
 *
 * Applications on volumes that go are stopped, and started again on whichever are in place then: in the end, when it is undone, by the agent
 * after this one, and as long as they do not run every minute.
 */
import type { EC2Client, Snapshot } from '@aws-sdk/client-ec2';
import { describeError, isCoded } from '@rokka/kernel';
import { stepSeconds } from '@rokka/services';
import type { Standstill } from '@rokka/snapshots';
import { type Action, type ActionInput, type ActionResult, failed, succeeded } from '../action.ts';
import { isAwsError } from '../aws-answers.ts';
import { newestLine, newestSet } from '../restore/newest-set.ts';
import { replace, wasReplaced } from '../restore/replacing.ts';
import { type NamedSnapshots, type NewestSet, planOf, restoreRequestOf } from '../restore/restore-plan.ts';
import { planLines } from '../restore/restore-report.ts';
import { planOfNamed } from '../restore/restored-image.ts';
import { type Place, RestoreVolumes } from '../restore/restore-volumes.ts';
import type { Restoring } from '../restore/restoring.ts';
import { tryOut } from '../restore/trying-out.ts';
import { insisting, undo } from '../restore/undoing.ts';

export interface RestoreOptions extends Pick<Restoring, 'clock' | 'verifiers' | 'writing'> {
  /** EC2 with the instance's own keys, for as long as it takes. @throws ROKKA_NO_INSTANCE_KEYS */
  ec2For(of: { account: string; region: string }, instance: string): Promise<EC2Client>;
  /** Undefined where it is not mounted now. */
  mountPointOf(volume: string): string | undefined;
  readonly standstill: Pick<Standstill, 'look' | 'stop' | 'start' | 'end' | 'stoppedBy'>;
}

export interface RestoreAction extends Action {
  /**
   * Has what a restore left stopped run again, unless there is one under way here.
   * @param isTaken whether somebody will still recover the command
   * @returns what runs again @throws SNAPSHOTS_APPLICATIONS_DOWN, SNAPSHOTS_STOPPED_GARBAGE; errors of isTaken; the signal's reason
   */
  startLeftOver(
    isTaken: (command: string) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<readonly string[]>;
}

/** Of the time of a step, for all that comes before verifying ends. */
const VERIFYING_SHARE = 0.8;
const SECOND_MS = 1_000;

export function restoreVssSnapshot(options: RestoreOptions): RestoreAction {
  /** Of volumes that another restore is moving nothing could be said. */
  const moving = new Set<string>();
  return {
    async run(input: ActionInput): Promise<ActionResult> {
      const { command } = input.delivery;
      const [other] = moving;
      if (other !== undefined) return failed(`command ${other} is restoring here: wait for its end`);
      moving.add(command);
      try {
        return await restore(input, options);
      } catch (error) {
        if (!isOfTheWorld(error, input.signal)) throw error;
        return failed(describeError(error));
      } finally {
        moving.delete(command);
      }
    },
    async recover(input: ActionInput): Promise<string> {
      const { command } = input.delivery;
      moving.add(command);
      try {
        return await recoverAll(input, options);
      } finally {
        moving.delete(command);
      }
    },
    async startLeftOver(isTaken, signal) {
      const { standstill } = options;
      const command = standstill.stoppedBy;
      if (command === undefined || moving.size > 0 || (await isTaken(command)) || moving.size > 0) return [];
      moving.add(command);
      try {
        return await standstill.start(signal);
      } finally {
        moving.delete(command);
      }
    },
  };
}

/** The volumes first: applications run on whichever are in place then, also where that is not as it should be. */
async function recoverAll(input: ActionInput, options: RestoreOptions): Promise<string> {
  let failure: unknown;
  let said = '';
  try {
    said = await withVolumes(input, options, (volumes) => recover(volumes, input, options));
  } catch (error) {
    failure = error;
    if (OVER.some((code) => isCoded(error, code))) said = describeError(error);
  }
  input.ending.throwIfAborted();
  const started = await startedAgain(input, options);
  // Where the registry is away it is tried again.
  if (failure !== undefined && said === '') throw failure;
  return said + started;
}

async function startedAgain({ ending }: ActionInput, { standstill }: RestoreOptions): Promise<string> {
  try {
    const names = await standstill.start(ending);
    return names.length === 0 ? '' : ` Runs again: ${names.join(', ')}.`;
  } catch (error) {
    if (!isCoded(error)) throw error;
    return ` What was stopped does not run again: ${describeError(error)}. It is tried once more every minute.`;
  }
}

/** Nothing more can be done about what was left. */
const OVER = ['ROKKA_RESTORE_LEFT', 'ROKKA_RESTORE_REFUSED', 'ROKKA_NO_INSTANCE_KEYS'];

const isOfTheWorld = (error: unknown, signal: AbortSignal) =>
  isCoded(error) || isAwsError(error) || signal.aborted;

async function withVolumes<T>(
  { delivery }: ActionInput,
  { ec2For, clock, mountPointOf }: RestoreOptions,
  work: (volumes: RestoreVolumes) => Promise<T>,
): Promise<T> {
  const { scope, instance, command } = delivery;
  const client = await ec2For(scope, instance);
  try {
    return await work(new RestoreVolumes({ client, clock, command, instance, mountPointOf }));
  } finally {
    client.destroy();
  }
}

function restore(input: ActionInput, options: RestoreOptions): Promise<ActionResult> {
  const { inputs, signal, say } = input;
  const { clock } = options;
  const request = restoreRequestOf(inputs);
  const verifyUntilMs = clock.nowMs() + stepSeconds({ inputs }) * SECOND_MS * VERIFYING_SHARE;
  return withVolumes(input, options, async (volumes) => {
    const { asked } = request;
    const place = await volumes.place(signal);
    const planOfSet = async (which: NamedSnapshots | NewestSet) => {
      const found = await volumes.snapshots(which, signal);
      return planOf(found, named(which, found, { place, nowMs: clock.wallMs(), say }));
    };
    const plan = await ('image' in asked ? planOfNamed(volumes, asked, signal) : planOfSet(asked));
    for (const line of planLines(plan)) say(`${line}\n`);
    const way = request.mode === 'Test' ? tryOut : replace;
    const { verifies } = request;
    const why = await way({ ...options, volumes, input, plan, place, verifyUntilMs, verifies });
    return why === undefined ? succeeded : failed(why);
  });
}

/** Says which set it is, where that was left open. */
function named(
  asked: NamedSnapshots | NewestSet,
  found: readonly Snapshot[],
  { place, nowMs, say }: { place: Place; nowMs: number } & Pick<ActionInput, 'say'>,
): NamedSnapshots {
  if (!('newest' in asked)) return asked;
  const newest = newestSet(found, { volumes: place.attached.map(({ volume }) => volume), nowMs, asked });
  say(`${newestLine(newest)}\n`);
  return newest;
}

async function recover(
  volumes: RestoreVolumes,
  input: ActionInput,
  { clock }: RestoreOptions,
): Promise<string> {
  const { signal } = input;
  const { mode } = restoreRequestOf(input.inputs);
  const of = { clock, signal };
  if (mode === 'Replace' && (await insisting(volumes, of, () => wasReplaced(volumes, signal))))
    return 'All volumes had been replaced already: those made from the snapshots are in use.';
  const { deleted, putBack } = await undo(volumes, of);
  if (deleted.length === 0) return 'It had made no volume.';
  const back = putBack.length === 0 ? '' : ` As before: ${putBack.join(', ')}.`;
  return `What it had made is deleted: ${deleted.join(', ')}.${back}`;
}
