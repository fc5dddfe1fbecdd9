/** The image that is made of a set of snapshots: all of them, each at the device where its volume was. */
import type { EC2Client } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import type { Outcome } from '@rokka/snapshots';
import { rokkaErrors } from '../errors.ts';
import type { Tag } from './tag-list.ts';

/** Rights are asked for on one that is not there yet. */
const NO_SNAPSHOT = 'snap-00000000000000000';
const TRIAL_DEVICE = '/dev/xvda';

export interface ImageOptions {
  readonly outcome: Outcome;
  /** Of the instance, as its volumes were before. */
  readonly devices: readonly { readonly volume: string; readonly device: string }[];
  readonly rootDevice: string | undefined;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly Tag[];
  readonly signal: AbortSignal;
}

/**
 * Of snapshots that are completed.
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
  const { ImageId } = await client.send(new RegisterImageCommand(input), { abortSignal: signal });
  return must(ImageId);
}

/** Always throws: what says whether it may be made. */
export async function tryImage(client: EC2Client, abortSignal: AbortSignal): Promise<unknown> {
  const { RegisterImageCommand } = await import('@aws-sdk/client-ec2');
  const input = {
    Name: 'trial',
    RootDeviceName: TRIAL_DEVICE,
    BlockDeviceMappings: [{ DeviceName: TRIAL_DEVICE, Ebs: { SnapshotId: NO_SNAPSHOT } }],
    TagSpecifications: [{ ResourceType: 'image' as const, Tags: [{ Key: 'Name', Value: 'trial' }] }],
    DryRun: true,
  };
  return client.send(new RegisterImageCommand(input), { abortSignal });
}
