/** The volumes of a cluster under test, by the SDK with its waiters. */
import * as ec2 from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { mountPointOf } from '../databases/volume-mounts.ts';

export const AVAILABILITY_ZONE = 'us-east-1a';

/** A cluster's volumes as their owner sees them. */
export class Ec2UnderTest {
  readonly client: ec2.EC2Client;
  readonly #cluster: string;

  constructor(client: ec2.EC2Client, cluster: string) {
    this.client = client;
    this.#cluster = cluster;
  }

  get waiting() {
    return { client: this.client, maxWaitTime: 300, minDelay: 0.05, maxDelay: 0.2 };
  }

  async instance(): Promise<string> {
    const { Reservations } = await this.client.send(new ec2.DescribeInstancesCommand({}));
    return must(Reservations?.[0]?.Instances?.[0]?.InstanceId);
  }

  async volume(input: Partial<ec2.CreateVolumeCommandInput>): Promise<string> {
    const made = await this.client.send(
      new ec2.CreateVolumeCommand({ AvailabilityZone: AVAILABILITY_ZONE, ...input }),
    );
    const VolumeId = must(made.VolumeId);
    await ec2.waitUntilVolumeAvailable(this.waiting, { VolumeIds: [VolumeId] });
    return VolumeId;
  }

  /** @returns the directory in which its files are */
  async attach(VolumeId: string, name: string): Promise<string> {
    const InstanceId = await this.instance();
    await this.client.send(new ec2.AttachVolumeCommand({ VolumeId, InstanceId, Device: `/dev/${name}` }));
    await this.attached(VolumeId);
    return mountPointOf(this.#cluster, name);
  }

  async attached(VolumeId: string): Promise<void> {
    const Filters = [
      { Name: 'volume-id', Values: [VolumeId] },
      { Name: 'attachment.status', Values: ['attached'] },
    ];
    await ec2.waitUntilVolumeInUse(this.waiting, { Filters });
  }

  async detach(VolumeId: string): Promise<void> {
    await this.client.send(new ec2.DetachVolumeCommand({ VolumeId }));
    await ec2.waitUntilVolumeAvailable(this.waiting, { VolumeIds: [VolumeId] });
  }

  async completed(SnapshotIds: string[]): Promise<void> {
    await ec2.waitUntilSnapshotCompleted(this.waiting, { SnapshotIds });
  }
}
