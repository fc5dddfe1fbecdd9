/** Every operation of EC2 that Rokka has, by the name that callers use. The others answer that they are not built. */
import type * as ec2 from '@aws-sdk/client-ec2';
import type { Operations } from '@rokka/gateway';
import type { Ec2Context } from './ec2-context.ts';
import { ec2ServicesOf } from './ec2-services.ts';
import { associateIamInstanceProfile } from './operations/associate-iam-instance-profile.ts';
import { attachVolume } from './operations/attach-volume.ts';
import { copySnapshot } from './operations/copy-snapshot.ts';
import { createImage } from './operations/create-image.ts';
import { createSnapshot } from './operations/create-snapshot.ts';
import { createSnapshots } from './operations/create-snapshots.ts';
import { createTags } from './operations/create-tags.ts';
import { createVolume } from './operations/create-volume.ts';
import { deleteSnapshot } from './operations/delete-snapshot.ts';
import { deleteTags } from './operations/delete-tags.ts';
import { deleteVolume } from './operations/delete-volume.ts';
import { deregisterImage } from './operations/deregister-image.ts';
import { describeAvailabilityZones } from './operations/describe-availability-zones.ts';
import { describeIamInstanceProfileAssociations } from './operations/describe-iam-instance-profile-associations.ts';
import { describeImages } from './operations/describe-images.ts';
import { describeInstanceStatus } from './operations/describe-instance-status.ts';
import { describeInstances } from './operations/describe-instances.ts';
import { describeRegions } from './operations/describe-regions.ts';
import { describeSnapshots } from './operations/describe-snapshots.ts';
import { describeTags } from './operations/describe-tags.ts';
import { describeVolumeStatus } from './operations/describe-volume-status.ts';
import { describeVolumes } from './operations/describe-volumes.ts';
import { describeVolumesModifications } from './operations/describe-volumes-modifications.ts';
import { detachVolume } from './operations/detach-volume.ts';
import { disassociateIamInstanceProfile } from './operations/disassociate-iam-instance-profile.ts';
import { modifyVolume } from './operations/modify-volume.ts';
import { registerImage } from './operations/register-image.ts';
import { replaceIamInstanceProfileAssociation } from './operations/replace-iam-instance-profile-association.ts';

/** The table for `defineService`. */
export function ec2Operations(context: Ec2Context) {
  const services = ec2ServicesOf(context);
  return {
    AssociateIamInstanceProfile: associateIamInstanceProfile(services),
    AttachVolume: attachVolume(services),
    CopySnapshot: copySnapshot(services),
    CreateImage: createImage(services),
    CreateSnapshot: createSnapshot(services),
    CreateSnapshots: createSnapshots(services),
    CreateTags: createTags(services),
    CreateVolume: createVolume(services),
    DeleteSnapshot: deleteSnapshot(services),
    DeleteTags: deleteTags(services),
    DeleteVolume: deleteVolume(services),
    DeregisterImage: deregisterImage(services),
    DescribeAvailabilityZones: describeAvailabilityZones,
    DescribeIamInstanceProfileAssociations: describeIamInstanceProfileAssociations(services),
    DescribeImages: describeImages(services),
    DescribeInstanceStatus: describeInstanceStatus(services),
    DescribeInstances: describeInstances(services),
    DescribeRegions: describeRegions(services),
    DescribeSnapshots: describeSnapshots(services),
    DescribeTags: describeTags(services),
    DescribeVolumeStatus: describeVolumeStatus(services),
    DescribeVolumes: describeVolumes(services),
    DescribeVolumesModifications: describeVolumesModifications(services),
    DetachVolume: detachVolume(services),
    DisassociateIamInstanceProfile: disassociateIamInstanceProfile(services),
    ModifyVolume: modifyVolume(services),
    RegisterImage: registerImage(services),
    ReplaceIamInstanceProfileAssociation: replaceIamInstanceProfileAssociation(services),
  } satisfies Operations<typeof ec2>;
}
