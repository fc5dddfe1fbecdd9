/** EC2 over a registry and a fake controller, on a cluster of two machines. */
import type * as ec2 from '@aws-sdk/client-ec2';
import type { InputOf, OutputOf } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { Ec2Context, Machine } from '../ec2/ec2-context.ts';
import { ec2Operations } from '../ec2/ec2-handlers.ts';
import { Ec2Keeper } from '../ec2/ec2-keeper.ts';
import type { IamContext } from '../iam/iam-context.ts';
import { IdentityStore } from '../iam/identity-store.ts';
import { addRoleToInstanceProfile } from '../iam/operations/add-role-to-instance-profile.ts';
import { createInstanceProfile } from '../iam/operations/create-instance-profile.ts';
import { createRole } from '../iam/operations/create-role.ts';
import { PolicyCache } from '../iam/policy-cache.ts';
import { ACCOUNT, callEntry, callIn, REGION, ServiceBench, type Where } from './service-bench.ts';

type Table = ReturnType<typeof ec2Operations>;
type CommandOf<N extends keyof Table> = (typeof ec2)[`${N}Command`];

export interface Ec2Process {
  readonly keeper: Ec2Keeper;
  call<N extends keyof Table>(
    name: N,
    input: InputOf<CommandOf<N>>,
    where?: Where,
  ): Promise<OutputOf<CommandOf<N>>>;
}

const FIRST: Machine = {
  key: 'first',
  host: 'one.example',
  privateIp: '10.0.0.1',
  zone: 'a',
  launchedAtMs: Date.UTC(2026, 0, 2),
  bootBytes: 41.5 * 2 ** 30,
  isFirst: true,
};
/** Of one that joined little is known. */
const SECOND: Machine = { key: 'second', host: 'two.example', zone: 'b', isFirst: false };

export class Ec2Bench extends ServiceBench {
  readonly context: Ec2Context;
  readonly process: Ec2Process;

  constructor(registry?: Registry) {
    super(registry);
    this.context = this.contextOver(this.registry, 1);
    this.process = processOver(this.context);
  }

  /** As another process has it. */
  contextOver(registry: Registry, seed: number): Ec2Context {
    const records = this.recordsOver(registry, seed);
    const { clock, random } = records;
    const store = new IdentityStore({ registry, clock, account: ACCOUNT });
    const identity = { store, policies: new PolicyCache(), random };
    return { ...records, identity, machines: async () => [FIRST, SECOND] };
  }

  get call(): Ec2Process['call'] {
    return this.process.call;
  }

  /** Id of the machine that volumes are mounted on; or of the other one. */
  async instance(host = FIRST.host, where: Where = {}): Promise<string> {
    const Filters = [{ Name: 'private-dns-name', Values: [host] }];
    const { Reservations } = await this.call('DescribeInstances', { Filters }, where);
    return must(Reservations?.[0]?.Instances?.[0]?.InstanceId);
  }

  /** Id of the disk of the machine that volumes are mounted on. */
  async boot(where: Where = {}): Promise<string> {
    const { Volumes = [] } = await this.call('DescribeVolumes', {}, where);
    return must(Volumes.find(({ Attachments }) => Attachments?.[0]?.Device === '/dev/xvda')?.VolumeId);
  }

  /** For operations of IAM. */
  get iam(): IamContext {
    const { identity, clock } = this.context;
    return { ...callIn({ account: ACCOUNT, region: REGION }), ...identity, clock };
  }

  /** An instance profile with a role of the same name, which EC2 may assume. @returns its name */
  async profile(InstanceProfileName: string): Promise<string> {
    const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ec2.amazonaws.com' } };
    const AssumeRolePolicyDocument = JSON.stringify({ Statement: trust });
    await createRole({ RoleName: InstanceProfileName, AssumeRolePolicyDocument }, this.iam);
    await createInstanceProfile({ InstanceProfileName }, this.iam);
    await addRoleToInstanceProfile({ InstanceProfileName, RoleName: InstanceProfileName }, this.iam);
    return InstanceProfileName;
  }

  /** @returns the association's id */
  async associate(Name: string, process = this.process): Promise<string> {
    const input = { InstanceId: await this.instance(), IamInstanceProfile: { Name } };
    const made = await process.call('AssociateIamInstanceProfile', input);
    return must(made.IamInstanceProfileAssociation?.AssociationId);
  }

  /** `box associated`, of each machine that has a profile. */
  async associations(): Promise<string[]> {
    const listed = await this.call('DescribeIamInstanceProfileAssociations', {});
    return (listed.IamInstanceProfileAssociations ?? []).map(
      ({ IamInstanceProfile: profile, State }) => `${profile?.Arn?.split('/').at(-1)} ${State}`,
    );
  }

  /** One that is available. @returns its id */
  async volume(
    input: Partial<InputOf<typeof ec2.CreateVolumeCommand>> = {},
    where: Where = {},
  ): Promise<string> {
    const zone = `${where.region ?? REGION}a`;
    const made = await this.call('CreateVolume', { AvailabilityZone: zone, Size: 1, ...input }, where);
    await this.turns(4);
    return must(made.VolumeId);
  }

  /** One that is attached. */
  async attached(Device = '/dev/sdf', input: Partial<InputOf<typeof ec2.CreateVolumeCommand>> = {}) {
    const VolumeId = await this.volume(input);
    await this.attach(VolumeId, Device);
    await this.turns(4);
    return VolumeId;
  }

  async attach(VolumeId: string, Device: string, process = this.process) {
    const InstanceId = await this.instance();
    return process.call('AttachVolume', { VolumeId, InstanceId, Device });
  }

  /** One that is completed. */
  async snapshot(VolumeId: string): Promise<string> {
    const { SnapshotId } = await this.call('CreateSnapshot', { VolumeId });
    await this.turns(2);
    return must(SnapshotId);
  }

  /** `in-use attached`. */
  async state(VolumeId: string, where: Where = {}): Promise<string> {
    const { Volumes } = await this.call('DescribeVolumes', { VolumeIds: [VolumeId] }, where);
    const { State, Attachments = [] } = must(Volumes?.[0]);
    return [State, ...Attachments.map((each) => each.State)].join(' ');
  }

  async snapshotState(SnapshotId: string): Promise<string | undefined> {
    const { Snapshots } = await this.call('DescribeSnapshots', { SnapshotIds: [SnapshotId] });
    return Snapshots?.[0]?.State;
  }
}

export function processOver(context: Ec2Context): Ec2Process {
  const table = ec2Operations(context);
  return {
    keeper: new Ec2Keeper(context),
    call: (name, input, where) => callEntry(table[name], input, where),
  };
}
