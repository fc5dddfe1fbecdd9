/** The instance that this machine is, as EC2 tells it to the machine's own keys. */
import * as fs from 'node:fs';
import type { EC2Client } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import type { MountedVolume } from '@rokka/snapshots';
import { rokkaErrors } from '../errors.ts';
import type { Tag } from './tag-list.ts';
import { tryImage } from './vss-image.ts';

export interface AttachedVolume extends MountedVolume {
  /** `/dev/sdf` */
  readonly device: string;
}

/** What an instance has, as EC2 tells it. */
export interface OwnVolumes {
  /** Its files are nobody's to mount: it has no directory. */
  readonly boot: Pick<AttachedVolume, 'volume' | 'device'> | undefined;
  readonly data: readonly AttachedVolume[];
}

/** The boot volume first. */
export const allVolumes = ({ boot, data }: OwnVolumes) => [...(boot ? [boot] : []), ...data];

/** @throws ROKKA_SNAPSHOT_REFUSED where one is not mounted; what EC2 answers */
export async function ownVolumes(
  client: EC2Client,
  instance: string,
  abortSignal: AbortSignal,
): Promise<OwnVolumes> {
  const { DescribeInstancesCommand } = await import('@aws-sdk/client-ec2');
  const answer = await client.send(new DescribeInstancesCommand({ InstanceIds: [instance] }), {
    abortSignal,
  });
  const { BlockDeviceMappings = [], RootDeviceName } = must(answer.Reservations?.[0]?.Instances?.[0]);
  const all = BlockDeviceMappings.map(({ DeviceName, Ebs }) => ({
    volume: must(Ebs?.VolumeId),
    device: must(DeviceName),
  }));
  const boot = all.find(({ device }) => device === RootDeviceName);
  const data = all.filter((each) => each !== boot);
  return { boot, data: data.map((each) => ({ ...each, mountPoint: demandMountPoint(each.volume) })) };
}

/**
 * All but the boot volume.
 * @throws ROKKA_SNAPSHOT_REFUSED where there is none, or one is not mounted; what EC2 answers
 */
export async function attachedVolumes(
  client: EC2Client,
  instance: string,
  signal: AbortSignal,
): Promise<readonly AttachedVolume[]> {
  const { data } = await ownVolumes(client, instance, signal);
  if (data.length > 0) return data;
  throw noVolumeOf(instance);
}

export const noVolumeOf = (instance: string) =>
  rokkaErrors.ROKKA_SNAPSHOT_REFUSED([`instance ${instance} has no volume but its boot volume`]);

function demandMountPoint(volume: string): string {
  const mountPoint = mountPointOf(volume);
  if (mountPoint !== undefined) return mountPoint;
  throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([
    `volume ${volume} is not mounted now: it is being attached or detached`,
  ]);
}

/** A volume's mount has its id for a source. */
export function mountPointOf(volume: string): string | undefined {
  const own = process.getuid?.() ?? 0;
  return mountPointIn(fs.readFileSync('/proc/self/mounts', 'utf8'), volume, own);
}

/** Any user may mount a file system of his own under any name (fusermount3(1)); the kernel says whose it is, as `user_id`. */
export function mountPointIn(mounts: string, volume: string, own: number): string | undefined {
  const isTrusted = (options = '') => {
    const user = /(?:^|,)user_id=(\d+)/.exec(options)?.[1];
    return user === undefined || [0, own].includes(Number(user));
  };
  const fields = mounts.split('\n').map((line) => line.split(' '));
  return fields.find(([source, , , options]) => source === volume && isTrusted(options))?.[1];
}

/**
 * Nobody is frozen for what is then refused.
 * @param of.ofImage the tags that were asked for, where an image is to be made
 * @throws ROKKA_SNAPSHOT_REFUSED that says which right the instance's role lacks
 */
export async function demandRights(
  client: EC2Client,
  of: {
    instance: string;
    excludesBoot: boolean;
    ofImage: readonly Tag[] | undefined;
    signal: AbortSignal;
  },
): Promise<void> {
  const { instance, excludesBoot, ofImage, signal } = of;
  const { CreateSnapshotsCommand, CreateTagsCommand } = await import('@aws-sdk/client-ec2');
  const InstanceSpecification = { InstanceId: instance, ExcludeBootVolume: excludesBoot };
  const trials = [
    ...(ofImage ? [() => tryImage(client, ofImage, signal)] : []),
    () =>
      client.send(new CreateSnapshotsCommand({ InstanceSpecification, DryRun: true }), {
        abortSignal: signal,
      }),
    () =>
      client.send(
        new CreateTagsCommand({
          Resources: ['snap-00000000000000000', ...(ofImage ? ['ami-00000000000000000'] : [])],
          Tags: [{ Key: 'AppConsistent', Value: 'True' }],
          DryRun: true,
        }),
        { abortSignal: signal },
      ),
  ];
  for (const trial of trials)
    try {
      await trial();
    } catch (error) {
      const { name, message } = error as Error;
      if (name === 'UnauthorizedOperation')
        throw rokkaErrors.ROKKA_SNAPSHOT_REFUSED([`the instance's role lacks a right: ${message}`]);
      if (name !== 'DryRunOperation' && name !== 'InvalidSnapshot.NotFound') throw error;
    }
}
