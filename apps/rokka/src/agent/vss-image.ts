/** The image that is made of a set of snapshots: all of them, each at the device where its volume was. */
import type { EC2Client } from '@aws-sdk/client-ec2';
import { type Clock, must } from '@rokka/kernel';
import type { ImageNamed } from '@rokka/services';
import type { Outcome } from '@rokka/snapshots';
import { rokkaErrors } from '../errors.ts';
import { isAwsError } from './aws-answers.ts';
import type { Tag } from './tag-list.ts';
import { VSS_CONFIG } from './vss-report.ts';

/** Rights are asked for on one that is not there yet. */
const NO_SNAPSHOT = 'snap-00000000000000000';
const TRIAL_DEVICE = '/dev/xvda';
/** Whoever runs EC2 looks at all of it every second. */
const SHOWN_MS_MAX = 10_000;
const LOOK_MS = 200;

export interface ImageOptions {
  readonly outcome: Outcome;
  /** Of the instance, as its volumes were before. */
  readonly devices: readonly { readonly volume: string; readonly device: string }[];
  readonly rootDevice: string | undefined;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly Tag[];
  readonly clock: Pick<Clock, 'nowMs' | 'sleep'>;
  /** What the registry has under a name. */
  imageNamed(name: string): Promise<ImageNamed | undefined>;
  readonly signal: AbortSignal;
}

/**
 * Of snapshots that are completed. Where EC2 has made it and the answer was lost, asking again is refused, for its name is taken: by this very image.
 * @returns its id
 * @throws ROKKA_SNAPSHOT_REFUSED where a volume of the set has no place; what EC2 answers
 */
export async function makeImage(client: EC2Client, of: ImageOptions): Promise<string> {
  const { outcome, devices, rootDevice, name, description, tags, signal } = of;
  const { RegisterImageCommand } = await import('@aws-sdk/client-ec2');
  const mappings = must(outcome.set).snapshots.map(({ snapshot, volume }) => {
    const place = devices.find((one) => one.volume === volume);
    if (place) return { DeviceName: place.device, Ebs: { SnapshotId: snapshot } };
    throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([
      `it is not known where ${volume} belongs, which came meanwhile`,
    ]);
  });
  const input = {
    Name: name,
    ...(description !== '' && { Description: description }),
    RootDeviceName: must(rootDevice),
    BlockDeviceMappings: mappings,
    TagSpecifications: [{ ResourceType: 'image' as const, Tags: [...tags] }],
  };
  try {
    const { ImageId } = await client.send(new RegisterImageCommand(input), { abortSignal: signal });
    return must(ImageId);
  } catch (error) {
    if (!isAwsError(error)) throw error;
    const id = await madeAlready({ mappings, tags }, of);
    if (id === undefined) throw error;
    return id;
  }
}

interface Asked {
  readonly mappings: readonly {
    readonly DeviceName: string;
    readonly Ebs: { readonly SnapshotId: string };
  }[];
  /** They name the set of the snapshots. */
  readonly tags: readonly Tag[];
}

/** The image of this name, where it is the one that was asked for: as soon as EC2 shows it, so that it can be tagged. */
async function madeAlready(asked: Asked, of: ImageOptions): Promise<string | undefined> {
  const { clock, imageNamed, name, signal } = of;
  const untilMs = clock.nowMs() + SHOWN_MS_MAX;
  for (;;) {
    const found = await imageNamed(name);
    if (!found || !isAsked(found, asked)) return undefined;
    if (found.counts) return found.id;
    if (clock.nowMs() >= untilMs) return undefined;
    await clock.sleep(LOOK_MS, signal);
  }
}

function isAsked({ devices, tags }: ImageNamed, asked: Asked): boolean {
  const areThere = asked.mappings.every(({ DeviceName, Ebs }) =>
    devices.some(({ device, snapshot }) => device === DeviceName && snapshot === Ebs.SnapshotId),
  );
  const hasTag = ({ Key, Value }: Tag) => tags.some((tag) => tag.Key === Key && tag.Value === Value);
  return areThere && devices.length === asked.mappings.length && asked.tags.every(hasTag);
}

/** Always throws: what says whether it may be made. A policy may ask for tags, so it is tried with those that the image will have. */
export async function tryImage(
  client: EC2Client,
  tags: readonly Tag[],
  abortSignal: AbortSignal,
): Promise<unknown> {
  const { RegisterImageCommand } = await import('@aws-sdk/client-ec2');
  const input = {
    Name: 'trial',
    RootDeviceName: TRIAL_DEVICE,
    BlockDeviceMappings: [{ DeviceName: TRIAL_DEVICE, Ebs: { SnapshotId: NO_SNAPSHOT } }],
    TagSpecifications: [
      { ResourceType: 'image' as const, Tags: [...tags, { Key: VSS_CONFIG, Value: '{}' }] },
    ],
    DryRun: true,
  };
  return client.send(new RegisterImageCommand(input), { abortSignal });
}
