/** What answers show of machines. None was started from an image, and there is no network of EC2 and no key pair, so nothing is told of them. */
import type { Instance, InstanceBlockDeviceMapping, InstanceStatus, Reservation } from '@aws-sdk/client-ec2';
import type { Scope } from '../scope.ts';
import { BOOT_DEVICE } from './ec2-inputs.ts';
import type { InstanceTagsRecord, ProfileAssociationRecord } from './ec2-records.ts';
import { tagsIn } from './instance-tags.ts';
import { profileShape } from './profile-associations.ts';
import { attachmentShape, tagShapes } from './volume-shapes.ts';
import type { InstanceFacts } from './instances.ts';
import type { VolumeFacts } from './volume-facts.ts';

/** No type that AWS has: what is told of those would not be true. */
const INSTANCE_TYPE = 'rokka.host' as NonNullable<Instance['InstanceType']>;
const RUNNING = { Code: 16, Name: 'running' } as const;

/** Of all machines in an account and region. */
interface InstanceHoldings {
  readonly volumes: readonly VolumeFacts[];
  readonly associations: readonly ProfileAssociationRecord[];
  readonly tags: readonly InstanceTagsRecord[];
}

export function reservationShape(scope: Scope, instance: InstanceFacts, has: InstanceHoldings): Reservation {
  return {
    ReservationId: instance.reservation,
    OwnerId: scope.account,
    Instances: [instanceShape(instance, has)],
  };
}

function instanceShape(instance: InstanceFacts, { volumes, associations, tags }: InstanceHoldings): Instance {
  const { machine } = instance;
  const association = associations.find((each) => each.instance === instance.id);
  return {
    InstanceId: instance.id,
    InstanceType: INSTANCE_TYPE,
    State: RUNNING,
    ...(machine.launchedAtMs !== undefined && { LaunchTime: new Date(machine.launchedAtMs) }),
    Placement: { AvailabilityZone: instance.zone, Tenancy: 'default' },
    ...(machine.privateIp !== undefined && { PrivateIpAddress: machine.privateIp }),
    PrivateDnsName: machine.host,
    RootDeviceName: BOOT_DEVICE,
    RootDeviceType: 'ebs',
    BlockDeviceMappings: [...bootMapping(instance), ...mappingsOf(instance, volumes)],
    ...(association && { IamInstanceProfile: profileShape(association) }),
    Monitoring: { State: 'disabled' },
    AmiLaunchIndex: 0,
    Tags: tagShapes(tagsIn(tags, instance.id)),
  };
}

function bootMapping({ boot }: InstanceFacts): InstanceBlockDeviceMapping[] {
  if (!boot) return [];
  const AttachTime = boot.sinceMs === undefined ? undefined : new Date(boot.sinceMs);
  const Ebs = { VolumeId: boot.id, Status: 'attached', AttachTime, DeleteOnTermination: true } as const;
  return [{ DeviceName: BOOT_DEVICE, Ebs }];
}

function mappingsOf({ id }: InstanceFacts, volumes: readonly VolumeFacts[]): InstanceBlockDeviceMapping[] {
  return volumes.flatMap((facts) => {
    const attachment = attachmentShape(facts);
    if (attachment?.InstanceId !== id) return [];
    const { Device, VolumeId, State, AttachTime } = attachment;
    // What this list has no word for is still attached.
    const Status = State === 'busy' ? 'detaching' : State;
    return [{ DeviceName: Device, Ebs: { VolumeId, Status, AttachTime, DeleteOnTermination: false } }];
  });
}

/** Of the machine that answers it is known that it is well; of another one, only that it belongs to the cluster. */
export function instanceStatusShape({ id, machine, zone }: InstanceFacts): InstanceStatus {
  const summary = machine.isFirst
    ? ({ Status: 'ok', Details: [{ Name: 'reachability', Status: 'passed' }] } as const)
    : ({
        Status: 'insufficient-data',
        Details: [{ Name: 'reachability', Status: 'insufficient-data' }],
      } as const);
  const told = () => ({ Status: summary.Status, Details: summary.Details.map((detail) => ({ ...detail })) });
  return {
    InstanceId: id,
    AvailabilityZone: zone,
    InstanceState: RUNNING,
    InstanceStatus: told(),
    SystemStatus: told(),
    Events: [],
  };
}
