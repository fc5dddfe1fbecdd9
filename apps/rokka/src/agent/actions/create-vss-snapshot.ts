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
import { type Clock, describeError, isCoded } from '@rokka/kernel';
import type { ImageNamed, SnapshotSetFacts } from '@rokka/services';
import {
  CombinedProvider,
  coordinate,
  type Coordination,
  type LocalFileSystems,
  type LocalSnapshot,
  type MountedVolume,
  type Outcome,
  outcomeOf,
  type SnapshotSetResult,
  straysOn,
  type Writer,
} from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import type { Action, ActionInput, ActionResult } from '../action.ts';
import { failed } from '../action.ts';
import { isAwsError } from '../aws-answers.ts';
import { DiagnosticLog } from '../diagnostic-log.ts';
import { Ec2Provider, type Ec2ProviderOptions } from '../ec2-provider.ts';
import {
  allVolumes,
  attachedVolumes,
  type AttachedVolume,
  demandRights,
  ownVolumes,
  type OwnVolumes,
} from '../own-instance.ts';
import { type Packages, WRITERS_PACKAGE } from '../packages.ts';
import { linesOf } from '../vss-report.ts';
import { type VssRequest, vssRequestOf } from '../vss-request.ts';
import { settle } from '../vss-settling.ts';

export interface VssOptions {
  readonly clock: Clock;
  readonly packages: Packages;
  /** EC2 with the instance's own keys. @throws ROKKA_NO_INSTANCE_KEYS */
  ec2For(of: { account: string; region: string }, instance: string): Promise<EC2Client>;
  lookUp(of: { account: string; region: string }, snapshot: string): Promise<SnapshotSetFacts | undefined>;
  /** Which image has this name. */
  imageNamed(of: { account: string; region: string }, name: string): Promise<ImageNamed | undefined>;
  /** Applications that have something on the volumes, in the order in which they freeze. */
  writersFor(
    volumes: readonly MountedVolume[],
    of: { noWriters: boolean; signal: AbortSignal },
  ): Promise<Writer[][]>;
  /** Of the boot volume. */
  bootWriter(): Writer;
  /** For one course of writers at a time. @throws ROKKA_WRITERS_BUSY */
  leaseWriters(): Disposable;
  /** Those of the machine that are copied at the same moment. */
  readonly localFileSystems: Pick<LocalFileSystems, 'open'>;
  /** A directory for the logs of those who want them. */
  readonly diagnostics: string;
}

/** @throws ROKKA_SNAPSHOT_REFUSED */
export function demandPackage(packages: Packages): void {
  if (packages.installed()[WRITERS_PACKAGE] !== undefined) return;
  throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([
    `${WRITERS_PACKAGE} is not installed: run AWS-ConfigureAWSPackage with name=${WRITERS_PACKAGE} first`,
  ]);
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
    // What its scripts had stopped went on when the agent began.
    recover: async () =>
      'Nothing is frozen any more. Snapshots, and an image of them, may have been made; those without the tag AppConsistent are not consistent for applications.',
  };
}

async function takeSnapshots(input: ActionInput, options: VssOptions): Promise<ActionResult> {
  const { delivery, inputs, signal, say } = input;
  const { scope, instance } = delivery;
  const { clock, packages } = options;
  const request = vssRequestOf(inputs);
  demandPackage(packages);
  const client = await options.ec2For(scope, instance);
  try {
    const { description, tags, excludesBoot, imageName } = request;
    const volumes = await volumesFor(client, { instance, excludesBoot, signal });
    const ofImage = imageName === undefined ? undefined : tags;
    await demandRights(client, { instance, excludesBoot, ofImage, signal });
    if (imageName !== undefined) await demandFreeName(imageName, { scope, ...options });
    const copying = { client, instance, excludesBoot, description, tags, clock };
    const lookUp = (snapshot: string) => options.lookUp(scope, snapshot);
    const log = request.collectsLogs
      ? new DiagnosticLog(clock, { command: delivery.command, instance, request })
      : undefined;
    const outcome = await logged({ log, input, directory: options.diagnostics }, () =>
      freezeAndCopy({ volumes, copying: { ...copying, lookUp }, request, signal, say, log }, options),
    );
    for (const line of linesOf(outcome)) say(`${line}\n`);
    if (request.saveMetadata) say(`${JSON.stringify(outcome.writers)}\n`);
    // What was made is to say what it is, however late it is.
    const named = (name: string) => options.imageNamed(scope, name);
    const settling = { client, clock, volumes, request, say, imageNamed: named };
    return await settle(outcome, { ...settling, signal: input.ending });
  } finally {
    client.destroy();
  }
}

/** Whatever comes of it is in the log, and where that is in the output. That it can't be kept changes nothing about the snapshots. */
async function logged(
  of: { log: DiagnosticLog | undefined; input: ActionInput; directory: string },
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  const { log, input, directory } = of;
  if (!log) return work();
  try {
    const outcome = await work();
    for (const line of linesOf(outcome)) log.note(line);
    return outcome;
  } catch (error) {
    log.note(describeError(error));
    throw error;
  } finally {
    const { command } = input.delivery;
    const where = await log
      .keep(directory, command)
      .catch((error: unknown) => `none: ${describeError(error)}`);
    input.say(`Diagnostic log: ${where}\n`);
  }
}

/** Nobody is frozen for what is then refused. @throws ROKKA_SNAPSHOT_REFUSED */
async function demandFreeName(
  name: string,
  { scope, imageNamed }: Pick<VssOptions, 'imageNamed'> & { scope: { account: string; region: string } },
): Promise<void> {
  const image = await imageNamed(scope, name);
  if (image !== undefined)
    throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([
      `${image.id} has the name "${name}" already: give another AmiName`,
    ]);
}

/** @throws ROKKA_SNAPSHOT_REFUSED where there is nothing to copy; what EC2 answers */
async function volumesFor(
  client: EC2Client,
  { instance, excludesBoot, signal }: { instance: string; excludesBoot: boolean; signal: AbortSignal },
): Promise<OwnVolumes> {
  if (excludesBoot) return { boot: undefined, data: await attachedVolumes(client, instance, signal) };
  const volumes = await ownVolumes(client, instance, signal);
  if (volumes.boot) return volumes;
  throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([
    `the boot volume of instance ${instance} is not known here: give ExcludeBootVolume=True`,
  ]);
}

interface Copying {
  readonly volumes: OwnVolumes;
  readonly copying: Omit<Ec2ProviderOptions, 'onFrozen'>;
  readonly request: VssRequest;
  readonly signal: AbortSignal;
  readonly log: DiagnosticLog | undefined;
  say(line: string): void;
}

async function freezeAndCopy(of: Copying, options: VssOptions): Promise<Outcome> {
  const { outcome, provider, local } = await holdAll(of, options);
  await using _ = local?.set;
  if (!outcome.set) return { ...outcome, reasons: [...outcome.reasons, ...leftOver(provider)] };
  const doubts = [...whyNotThese(outcome.set, allVolumes(of.volumes))];
  await provider.confirm(outcome.set.id, of.signal).catch((error: unknown) => {
    doubts.push(describeError(error));
  });
  const confirmed = doubting(outcome, doubts);
  return local ? await withPublished(confirmed, local, of) : confirmed;
}

const doubting = (outcome: Outcome, doubts: readonly string[]): Outcome =>
  doubts.length === 0 ? outcome : { ...outcome, level: 'crash', reasons: [...outcome.reasons, ...doubts] };

/** Copies of local file systems get their name when it is known what they are worth. Without them nothing is worth more than they. */
async function withPublished(
  outcome: Outcome,
  { set, provider }: LocalSnapshot,
  { say }: Copying,
): Promise<Outcome> {
  const { set: made, level } = outcome;
  if (level === undefined || !made?.also?.some(({ id }) => id === set.id)) return outcome;
  say(`Local file systems were frozen for ${provider.frozenForMs ?? '?'} ms.\n`);
  try {
    await set.publish(level);
  } catch (error) {
    if (!isCoded(error)) throw error;
    return doubting({ ...outcome, set: { ...made, also: [] } }, [describeError(error)]);
  }
  // The set is there, whatever becomes of older ones.
  const gone = await set.prune().catch((error: unknown) => {
    say(`Older local sets: ${describeError(error)}\n`);
    return [];
  });
  for (const id of gone) say(`Local snapshot set ${id} is not kept any more.\n`);
  return outcome;
}

interface Held {
  readonly outcome: Outcome;
  readonly provider: Ec2Provider;
  /** Its copies are whoever's who gets them. */
  readonly local: LocalSnapshot | undefined;
}

/** Nobody waits for the copying: applications are free for another command when this resolves. */
async function holdAll(
  { volumes: { boot, data: volumes }, copying, request, signal, log }: Copying,
  options: VssOptions,
): Promise<Held> {
  const { clock, leaseWriters, writersFor, bootWriter, localFileSystems } = options;
  const { noWriters } = request;
  using _ = leaseWriters();
  await using copies = new AsyncDisposableStack();
  await using owned = new AsyncDisposableStack();
  const local = await localFileSystems.open(signal);
  if (local) copies.use(local.set);
  // Thawed before anything of the writers is given up, which may have files there.
  await using _thawing = local?.provider;
  const places = [...volumes, ...(local?.provider.volumes ?? [])];
  const applications = await writersFor(places, { noWriters, signal });
  const tiers = boot ? [[bootWriter()], ...applications] : applications;
  for (const writer of tiers.flat()) owned.use(writer);
  const strays = new Set<string>();
  let now: Coordination | undefined;
  // Right before the moment, and once more after it: who writes all the time is seen by one of the two.
  const look = async (until: AbortSignal) => {
    const components = now?.writers.flatMap((writer) => writer.components) ?? [];
    for (const stray of noWriters ? [] : await straysOn({ volumes: places, components, signal: until }))
      strays.add(stray);
  };
  const own = new Ec2Provider({ ...copying, onFrozen: look });
  const provider = local ? new CombinedProvider(own, [local.provider]) : own;
  const onTurn = (turn: Coordination) => {
    now = turn;
    log?.turn(turn);
  };
  const course = await coordinate({ tiers, provider, clock, signal, onTurn });
  if (course.set) await look(signal);
  copies.move();
  const outcome = outcomeOf(course, { strays: [...strays], withoutWriters: noWriters });
  return { outcome, provider: own, local };
}

/** Volumes come and go while others are asked: who has something on them was not asked then. */
function whyNotThese(
  { snapshots }: SnapshotSetResult,
  volumes: readonly Pick<AttachedVolume, 'volume'>[],
): string[] {
  const made = new Set(snapshots.map(({ volume }) => volume));
  const asked = new Set(volumes.map(({ volume }) => volume));
  const changed = [...made.symmetricDifference(asked)];
  return changed.length === 0 ? [] : [`${changed.join(', ')} came or went meanwhile`];
}

/** Snapshots of which it is not known whether they were made at their moment: they are there all the same. */
function leftOver({ snapshots }: Ec2Provider): string[] {
  return snapshots.length === 0 ? [] : [`${snapshots.join(', ')} may show another moment`];
}
