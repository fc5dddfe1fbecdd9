/**
 * The steps of deciding.ts, carried out as the policy's role. What is made has an id, or a mark, that the run has said before: made once, whoever
 * carries it out how often. What the role may not do, and what EC2 or SSM refuse, is not tried again before the next due time.
 */
import { unreachable } from '@rokka/kernel';
import { askFor } from '../ec2/ec2-permissions.ts';
import { askForInstanceSnapshots, makeInstanceSnapshots } from '../ec2/instance-snapshots.ts';
import { readSnapshots, type SnapshotFacts } from '../ec2/snapshot-facts.ts';
import { readScope } from '../ec2/volume-facts.ts';
import { askForVolumeSnapshot, makeVolumeSnapshot, removeSnapshot } from '../ec2/volume-snapshots.ts';
import { refusalOf } from '../refusal.ts';
import { commandOutcome } from '../ssm/command-outcome.ts';
import { newCommandId } from '../ssm/ssm-ids.ts';
import type { RunStep } from './deciding.ts';
import type { Run } from './dlm-records.ts';
import { going } from './retention.ts';
import { changeRun, demandAllowed, type RunContext, withAction } from './run-context.ts';
import { descriptionOf, groupsOf, leftBy, madeBy, serviceTags } from './run-snapshots.ts';
import { tagMade } from './run-tags.ts';

/** @throws coded errors, after which it is tried again */
export async function carryOut(of: RunContext, run: Run, step: RunStep): Promise<void> {
  switch (step.step) {
    case 'none':
      return;
    case 'send':
      return refusable(
        () => send(of, run),
        (refusal) => refused(of, run, refusal),
      );
    case 'retry':
      return changeRun(of, run, (found) => ({
        ...withoutRefusal(found),
        attempt: found.attempt + 1,
        commandId: newCommandId(of.services.random),
      }));
    case 'fall-back':
      return changeRun(of, run, (found) => ({ ...found, phase: 'snapshots', fallback: step.why }));
    case 'create':
      return refusable(
        () => create(of, run),
        (failure) => notCreated(of, run, failure),
      );
    case 'tag':
      return refusable(
        () => tag(of, run),
        (failure) => end(of, run, { failure }),
      );
    case 'finish':
      return finish(of, run, step.note);
    case 'fail':
      return end(of, run, { failure: step.why });
    default:
      return unreachable(step);
  }
}

/** What EC2 and SSM refuse, and what the role may not do, is an answer; everything else is not. */
async function refusable(
  work: () => Promise<void>,
  otherwise: (why: string) => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    await otherwise(refusal);
  }
}

async function send(of: RunContext, run: Run): Promise<void> {
  const { sendCommandOf } = await import('./run-command.ts');
  await sendCommandOf(of, run);
}

/** Where another keeper has sent it, who was not refused, what becomes of that counts. */
async function refused(of: RunContext, run: Run, refusal: string): Promise<void> {
  const { services, scope } = of;
  const { state } = await commandOutcome(services.ssm.store, scope, run.commandId);
  if (state === 'none') await changeRun(of, run, (found) => ({ ...found, refusal }));
}

function withoutRefusal(run: Run): Run {
  const { refusal, ...rest } = run;
  return refusal === undefined ? run : rest;
}

async function create(of: RunContext, run: Run): Promise<void> {
  const { services, scope, target, schedule, policy } = of;
  const tags = [...schedule.tagsToAdd, ...serviceTags(of, run)];
  const wish = {
    id: run.madeId,
    description: descriptionOf(of),
    tags,
    copiesTags: schedule.copiesTags,
  };
  const specified = [{ ResourceType: 'snapshot' as const, Tags: tags }];
  if (policy.details.resourceType === 'VOLUME') {
    const asks = await askForVolumeSnapshot(services.ec2, scope, { volume: target, tags: specified });
    await demandAllowed(of, withAction(asks, 'ec2:CreateSnapshot', tags));
    await makeVolumeSnapshot(services.ec2, scope, { ...wish, volume: target });
    return;
  }
  const specification = { InstanceId: target, ExcludeBootVolume: policy.details.includesBoot !== true };
  const asks = await askForInstanceSnapshots(services.ec2, scope, { specification, tags: specified });
  await demandAllowed(of, withAction(asks, 'ec2:CreateSnapshots', tags));
  await makeInstanceSnapshots(services.ec2, scope, { ...wish, specification });
}

/** Where another keeper has made them, who was not refused, they count. */
async function notCreated(of: RunContext, run: Run, failure: string): Promise<void> {
  const made = madeBy(of, run, await readScope(of.services.ec2, of.scope));
  if (made.length === 0) await end(of, run, { failure });
}

async function tag(of: RunContext, run: Run): Promise<void> {
  const { services, scope, schedule } = of;
  const made = madeBy(of, run, await readScope(services.ec2, scope));
  const tags = [...schedule.tagsToAdd, ...serviceTags(of, run)];
  const asks = await Promise.all(
    made.map(({ record }) => askFor(services.ec2, scope, ['snapshot', record.id])),
  );
  await demandAllowed(of, withAction(asks, 'ec2:CreateTags', tags));
  await tagMade(services.ec2, scope, { made, tags, copiesTags: schedule.copiesTags });
}

/** There are new ones: what is too many or too old goes. */
async function finish(of: RunContext, run: Run, note: string | undefined): Promise<void> {
  const all = await readSnapshots(of.services.ec2, of.scope);
  const groups = going(groupsOf(of, all), of.schedule.retain, of.services.clock.wallMs());
  let kept: string | undefined;
  for (const { facts } of groups)
    await refusable(
      () => remove(of, facts),
      async (why) => void (kept ??= `old snapshots could not be deleted: ${why}`),
    );
  const notes = [note, kept].filter((text) => text !== undefined);
  await end(of, run, notes.length === 0 ? {} : { note: notes.join('; ') });
}

/** With what it has left by attempts that came to nothing. */
async function end(
  of: RunContext,
  run: Run,
  how: { readonly failure?: string; readonly note?: string },
): Promise<void> {
  const left = leftBy(of, run, await readScope(of.services.ec2, of.scope));
  await refusable(
    () => remove(of, left),
    async () => {},
  );
  const atMs = of.services.clock.wallMs();
  await changeRun(of, run, (found) => ({ ...found, end: { atMs, ...how } }));
}

/** One that must stay, for an image names it, keeps none of the others. @throws the first refusal, when all were tried */
async function remove(of: RunContext, snapshots: readonly SnapshotFacts[]): Promise<void> {
  let first: unknown;
  for (const facts of snapshots)
    try {
      await removeOne(of, facts);
    } catch (error) {
      if (refusalOf(error) === undefined) throw error;
      first ??= error;
    }
  if (first !== undefined) throw first;
}

async function removeOne(of: RunContext, facts: SnapshotFacts): Promise<void> {
  const { services, scope } = of;
  const ask = await askFor(services.ec2, scope, ['snapshot', facts.record.id]);
  await demandAllowed(of, withAction([ask], 'ec2:DeleteSnapshot'));
  try {
    await removeSnapshot(services.ec2, scope, facts);
  } catch (error) {
    if ((error as Error).name !== 'InvalidSnapshot.NotFound') throw error;
  }
}
