/** What inputs may say of images. */
import type { BlockDeviceMapping } from '@aws-sdk/client-ec2';
import type { Scope } from '../scope.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { BOOT_DEVICE, checkedDevice, checkedKind, demandBuilt, given } from './ec2-inputs.ts';
import { findSnapshot } from './ec2-lookup.ts';
import type { ImageDevice } from './ec2-records.ts';
import { IMAGE_NAME_RULE, isImageName } from './image-names.ts';
import { snapshotState } from './status.ts';

/** Words: nothing is started from an image. */
const ARCHITECTURES = ['arm64', 'i386', 'x86_64'];
const DEVICES_MAX = 64;

/** @throws MissingParameter, InvalidAMIName.Malformed */
export function checkedImageName(text: string | undefined): string {
  const name = given(text, 'Name');
  if (isImageName(name)) return name;
  throw ec2Failures.imageName(IMAGE_NAME_RULE);
}

/** @throws InvalidParameterValue */
export function checkedArchitecture(text: string | undefined): string | undefined {
  if (text === undefined || ARCHITECTURES.includes(text)) return text;
  throw ec2Failures.parameter(
    `Value (${text.slice(0, 64)}) for parameter architecture is invalid: it is one of ${ARCHITECTURES.join(', ')}.`,
  );
}

/**
 * Each of a snapshot that is completed, each at its own device.
 * @throws MissingParameter, InvalidBlockDeviceMapping, InvalidSnapshot.NotFound, IncorrectState, UnsupportedOperation
 */
export async function checkedMappings(
  services: Ec2Services,
  scope: Scope,
  mappings: readonly BlockDeviceMapping[] = [],
): Promise<ImageDevice[]> {
  if (mappings.length === 0) throw ec2Failures.missing('BlockDeviceMapping');
  if (mappings.length > DEVICES_MAX)
    throw ec2Failures.blockDevice(`An image has at most ${DEVICES_MAX} devices.`);
  const devices: ImageDevice[] = [];
  for (const mapping of mappings) {
    const device = await checkedMapping(services, scope, mapping);
    if (devices.some((other) => other.device === device.device))
      throw ec2Failures.blockDevice(`Device ${device.device} is given twice.`);
    devices.push(device);
  }
  return devices;
}

async function checkedMapping(
  services: Ec2Services,
  scope: Scope,
  mapping: BlockDeviceMapping,
): Promise<ImageDevice> {
  demandBuilt(mapping, ['DeviceName', 'Ebs']);
  const device = imageDevice(mapping.DeviceName);
  const { Ebs } = mapping;
  if (!Ebs) throw ec2Failures.blockDevice(`Device ${device} has no Ebs with a snapshot.`);
  demandBuilt(Ebs, ['DeleteOnTermination', 'Iops', 'SnapshotId', 'Throughput', 'VolumeSize', 'VolumeType']);
  const source = await findSnapshot(services, scope, Ebs.SnapshotId);
  const { id, volume } = source.record;
  const state = snapshotState(source);
  if (state !== 'completed') throw ec2Failures.state(`Snapshot is in invalid state - ${state}: ${id}`);
  const { sizeGiB } = volume;
  // Volumes that are made of it have the size of the snapshot.
  if (Ebs.VolumeSize !== undefined && Ebs.VolumeSize !== sizeGiB)
    throw ec2Failures.unsupported(
      `VolumeSize of ${device} may only be ${sizeGiB}, that of ${id}: leave it out.`,
    );
  const type = checkedKind(Ebs, 'gp3');
  return { device, snapshot: id, sizeGiB, type, deleteOnTermination: Ebs.DeleteOnTermination !== false };
}

/** @throws MissingParameter, InvalidParameterValue */
const imageDevice = (text: string | undefined) => (text === BOOT_DEVICE ? text : checkedDevice(text).device);

/** @throws MissingParameter, InvalidBlockDeviceMapping */
export function checkedRoot(text: string | undefined, devices: readonly ImageDevice[]): string {
  const root = given(text, 'RootDeviceName');
  if (devices.some(({ device }) => device === root)) return root;
  throw ec2Failures.blockDevice(`No snapshot is given for the root device ${root.slice(0, 64)}.`);
}
