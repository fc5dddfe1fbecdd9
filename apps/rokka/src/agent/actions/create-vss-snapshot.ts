/**
 * `aws:createVssSnapshot`: all volumes of the instance at one moment, at which its applications hold.
 *
 * What can be refused is refused before anybody is frozen: the request, the package, the keys, the rights. From then on the course is the
 * coordinator's (`@rokka/snapshots`). The snapshots stay, whatever became of it; only `AppConsistent` says that they are consistent, and it is
 * put on last.
 *
 * Killed at any moment, the agent holds nothing: sessions and locks of writers end with it, volumes are held by their heads alone, and what a script
 * has stopped `recover` lets go on.
 */
import type { EC2Client } from '@aws-sdk/client-ec2';
import { type Clock, describeError, isCoded, must } from '@rokka/kernel';
import type { SnapshotSetFacts } from '@rokka/services';
import { coordinate, outcomeOf, type Outcome, straysOn, type Writer } from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import type { Action, ActionInput, ActionResult } from '../action.ts';
import { failed, succeeded } from '../action.ts';
import { isAwsError } from '../aws-answers.ts';
import { Ec2Provider } from '../ec2-provider.ts';
import { attachedVolumes, type AttachedVolume, demandRights } from '../own-instance.ts';
import { type Packages, WRITERS_PACKAGE } from '../packages.ts';
import { linesOf, tagsOf } from '../vss-report.ts';
import { type VssRequest, vssRequestOf } from '../vss-request.ts';

export interface VssOptions {
  readonly clock: Clock;
  readonly packages: Packages;
  /** EC2 with the instance's own keys. @throws ROKKA_NO_INSTANCE_KEYS */
  ec2For(of: { account: string; region: string }, instance: string): Promise<EC2Client>;
  lookUp(of: { account: string; region: string }, snapshot: string): Promise<SnapshotSetFacts | undefined>;
  /** Applications that have something on the volumes, in the order in which they freeze. */
  writersFor(
    volumes: readonly AttachedVolume[],
    of: { noWriters: boolean; signal: AbortSignal },
  ): Promise<Writer[][]>;
  /** Lets go on what scripts of an attempt that was cut short have stopped. Answers what was done. */
  recoverWriters(): Promise<string>;
}

export function createVssSnapshot(options: VssOptions): Action {
  return {
    async run(input: ActionInput): Promise<ActionResult> {
      try {
        return await takeSnapshots(input, options);
      } catch (error) {
        if (!isCoded(error) && !isAwsError(error)) throw error;
        return failed(describeError(error));
      }
    },
    recover: async () => {
      const done = await options.recoverWriters();
      return `Nothing is frozen any more. ${done} Snapshots that were made have no tag AppConsistent.`;
    },
  };
}

async function takeSnapshots(input: ActionInput, options: VssOptions): Promise<ActionResult> {
  const { delivery, inputs, signal, say } = input;
  const { scope, instance } = delivery;
  const { clock, packages, writersFor } = options;
  const request = vssRequestOf(inputs);
  if (packages.installed()[WRITERS_PACKAGE] === undefined)
    throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([
      `${WRITERS_PACKAGE} is not installed: run AWS-ConfigureAWSPackage with name=${WRITERS_PACKAGE} first`,
    ]);
  const client = await options.ec2For(scope, instance);
  try {
    const volumes = await attachedVolumes(client, instance, signal);
    await demandRights(client, { instance, signal });
    const provider = new Ec2Provider({
      client,
      instance,
      description: request.description,
      tags: request.tags,
      lookUp: (snapshot) => options.lookUp(scope, snapshot),
      clock,
    });
    const tiers = await writersFor(volumes, { noWriters: request.noWriters, signal });
    const outcome = await freezeAndCopy(tiers, { volumes, provider, request, clock, signal });
    for (const line of linesOf(outcome)) say(`${line}\n`);
    if (request.saveMetadata) say(`${JSON.stringify(outcome.writers)}\n`);
    return await settle(outcome, { client, volumes, request, signal });
  } finally {
    client.destroy();
  }
}

async function freezeAndCopy(
  tiers: Writer[][],
  of: {
    volumes: readonly AttachedVolume[];
    provider: Ec2Provider;
    request: VssRequest;
    clock: Clock;
    signal: AbortSignal;
  },
): Promise<Outcome> {
  const { volumes, provider, request, clock, signal } = of;
  await using owned = new AsyncDisposableStack();
  for (const writer of tiers.flat()) owned.use(writer);
  const course = await coordinate({ tiers, provider, clock, signal });
  const components = course.writers.flatMap((writer) => writer.components);
  const strays = request.noWriters || course.veto ? [] : await straysOn({ volumes, components, signal });
  const outcome = outcomeOf(course, { strays, withoutWriters: request.noWriters });
  if (!outcome.set) return { ...outcome, reasons: [...outcome.reasons, ...leftOver(provider)] };
  try {
    await provider.confirm(outcome.set.id, signal);
    return outcome;
  } catch (error) {
    return { ...outcome, level: 'crash', reasons: [...outcome.reasons, describeError(error)] };
  }
}

/** Snapshots of which it is not known whether they were made at their moment: they are there all the same. */
function leftOver({ snapshots }: Ec2Provider): string[] {
  return snapshots.length === 0 ? [] : [`${snapshots.join(', ')} may show another moment`];
}

/** Puts the tags on, `AppConsistent` with the last write. */
async function settle(
  outcome: Outcome,
  of: { client: EC2Client; volumes: readonly AttachedVolume[]; request: VssRequest; signal: AbortSignal },
): Promise<ActionResult> {
  const { client, volumes, request, signal } = of;
  const { set, level, reasons } = outcome;
  if (!set) return failed(reasons.join('\n'));
  const { CreateTagsCommand } = await import('@aws-sdk/client-ec2');
  for (const { snapshot, volume } of set.snapshots) {
    const { device } = must(volumes.find((one) => one.volume === volume));
    const Tags = tagsOf(outcome, device);
    await client.send(new CreateTagsCommand({ Resources: [snapshot], Tags }), { abortSignal: signal });
  }
  const wanted = request.noWriters ? 'filesystem' : 'application';
  if (level === wanted || level === 'application') return succeeded;
  return failed([`the snapshots are of level ${level}, not ${wanted}`, ...reasons].join('\n'));
}
