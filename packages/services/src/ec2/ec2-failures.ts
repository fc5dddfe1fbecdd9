/**
 * What goes wrong in EC2, by the codes that its clients know, mostly in AWS's own words. The SDK has no classes for them.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
 */
import { AwsError } from '@rokka/gateway';
import { isCoded } from '@rokka/kernel';
import { PREFIXES, type ResourceKind } from './ec2-ids.ts';

const NOT_FOUND: Readonly<Record<ResourceKind, string>> = {
  volume: 'InvalidVolume.NotFound',
  snapshot: 'InvalidSnapshot.NotFound',
  instance: 'InvalidInstanceID.NotFound',
  image: 'InvalidAMIID.NotFound',
};
const MALFORMED: Readonly<Record<ResourceKind, string>> = {
  volume: 'InvalidVolumeID.Malformed',
  snapshot: 'InvalidSnapshotID.Malformed',
  instance: 'InvalidInstanceID.Malformed',
  image: 'InvalidAMIID.Malformed',
};

const code = (name: string) => (message: string) => new AwsError(name, message);
const shown = (text: string) => text.slice(0, 300);

export const ec2Failures = {
  notFound(kind: ResourceKind, ids: readonly string[]) {
    const names = ids.join(', ');
    if (kind === 'instance')
      return new AwsError(NOT_FOUND[kind], `The instance ID '${shown(names)}' does not exist`);
    if (kind === 'image')
      return new AwsError(NOT_FOUND[kind], `The image id '[${shown(names)}]' does not exist`);
    const many = ids.length > 1;
    return new AwsError(
      NOT_FOUND[kind],
      `The ${kind}${many ? 's' : ''} '${shown(names)}' ${many ? 'do' : 'does'} not exist.`,
    );
  },
  malformed(kind: ResourceKind, id: string) {
    if (id.startsWith(PREFIXES[kind])) return new AwsError(MALFORMED[kind], `Invalid id: "${shown(id)}"`);
    return new AwsError(
      'InvalidParameterValue',
      `Value (${shown(id)}) for parameter ${kind}Id is invalid. Expected: '${PREFIXES[kind]}...'.`,
    );
  },
  missing: (member: string) =>
    new AwsError('MissingParameter', `The request must contain the parameter ${member}`),
  parameter: code('InvalidParameterValue'),
  combination: code('InvalidParameterCombination'),
  unsupported: code('UnsupportedOperation'),
  notPermitted: code('OperationNotPermitted'),
  /** A volume, snapshot or instance is not in the state that it must be in. */
  state: code('IncorrectState'),
  modificationState: code('IncorrectModificationState'),
  volumeInUse: code('VolumeInUse'),
  snapshotInUse: code('InvalidSnapshot.InUse'),
  imageName: code('InvalidAMIName.Malformed'),
  imageNameTaken: (name: string, id: string) =>
    new AwsError('InvalidAMIName.Duplicate', `AMI name ${shown(name)} is already in use by AMI ${id}`),
  blockDevice: code('InvalidBlockDeviceMapping'),
  noAttachment: code('InvalidAttachment.NotFound'),
  noAssociation: (id: string) =>
    new AwsError('InvalidAssociationID.NotFound', `An invalid association-id of '${shown(id)}' was given`),
  noProfile: (what: 'name' | 'arn', text: string) =>
    new AwsError(
      'InvalidParameterValue',
      `Value (${shown(text)}) for parameter iamInstanceProfile.${what} is invalid. Invalid IAM Instance Profile ${what === 'arn' ? 'ARN' : 'name'}`,
    ),
  noZone: code('InvalidZone.NotFound'),
  volumeType: code('UnknownVolumeType'),
  idempotency: code('IdempotentParameterMismatch'),
  nextToken: code('InvalidNextToken'),
  tagLimit: code('TagLimitExceeded'),
  /** Neither a volume nor a snapshot nor an instance nor an image. */
  id: (text: string) => new AwsError('InvalidID', `The ID '${shown(text)}' is not valid`),
};

/** What `Databases` refuses is the caller's to know; everything else stays what it was. */
export function asEc2Failure(error: unknown): unknown {
  if (isCoded(error, 'DATABASE_NAME_INVALID')) return ec2Failures.parameter(error.message);
  if (isCoded(error, 'DATABASE_NO_BUCKET')) return ec2Failures.unsupported(error.message);
  if (isCoded(error, 'DATABASE_NONE') || isCoded(error, 'DATABASE_DELETED'))
    return ec2Failures.state(error.message);
  if (isCoded(error, 'DATABASE_NO_SNAPSHOT')) return ec2Failures.state(error.message);
  return error;
}
