/**
 * What the registry has of EC2 beside the databases themselves. A volume is a database with the engine `files` and the same name;
 * attached means that it runs, mounted; a snapshot is one kept point of an archive.
 *
 * - Everything is decided by one write of one record: of the volume, of the snapshot, of the image, or of the set that a snapshot or an image is in.
 * - A database `vol-…`, or a kept point with the owner `ec2`, is made only after a record that names it was written. So one that no
 *   record names is left over, and goes. With claims it is the same (claims.ts).
 */
import type { DatabaseSource } from '@rokka/databases';
import type { IdempotencyMark } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';

/** A word: all volumes are the same. */
export type VolumeKind = 'gp2' | 'gp3';

export interface VolumeRecord {
  /** Never used again. */
  readonly id: string;
  readonly createdAtMs: number;
  /** `eu-north-1a`: a name. */
  readonly zone: string;
  /** As it shall be. */
  readonly sizeGiB: number;
  readonly type: VolumeKind;
  readonly tags: readonly Tag[];
  /** The snapshot that it was made from. */
  readonly snapshot?: string;
  readonly token?: IdempotencyMark;
  /** It has a token, and does not count before it has the claim to it: another one may be faster. */
  readonly unconfirmed?: true;
  /** Until its database is made: with what. Taken out again by the write after that. */
  readonly wish?: VolumeWish;
  /** Its files have been opened once: it is `available`. */
  readonly ready?: true;
  readonly attachment?: Attachment;
  /** The last one. */
  readonly modification?: Modification;
  readonly deleting?: { readonly sinceMs: number };
}

interface VolumeWish {
  readonly source?: DatabaseSource;
  /** What keeps the source until the database does. */
  readonly kept?: string;
}

export interface Attachment {
  /** Never used again: has the claim to the mount. */
  readonly id: string;
  readonly instance: string;
  /** `/dev/sdf`. */
  readonly device: string;
  /** The directory's name: `sdf`. */
  readonly mount: string;
  /** The joined machine that the instance is; absent for the cluster's first. */
  readonly machine?: string;
  readonly sinceMs: number;
  readonly detaching?: Detaching;
}

export interface Detaching {
  readonly sinceMs: number;
  /** Nobody waits for the machine: the volume is opened elsewhere first, which fences whoever writes there. */
  readonly force?: true;
  /** That has been done. */
  readonly fenced?: true;
}

interface Modification {
  readonly original: Pick<VolumeRecord, 'sizeGiB' | 'type'>;
  readonly target: Pick<VolumeRecord, 'sizeGiB' | 'type'>;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
}

export interface SnapshotRecord {
  readonly id: string;
  readonly createdAtMs: number;
  /** Its kept point. */
  readonly kept: string;
  /** As the volume was. */
  readonly volume: { readonly id: string; readonly sizeGiB: number };
  /** The instance whose boot volume that is: what is kept is a copy of the state of the cluster (boot-mirror.ts). */
  readonly ofBoot?: string;
  readonly description: string;
  readonly tags: readonly Tag[];
  /** The snapshot, and its kept point, that it is a copy of. */
  readonly copyOf?: { readonly id: string; readonly kept: string };
  /** Why there will never be a kept point. */
  readonly failure?: string;
  /** Its kept point was seen. */
  readonly completedAtMs?: number;
  /** The last image that was to be made of it: so that whoever deletes it sees that one has come meanwhile. */
  readonly imaged?: string;
  /** Of a set, the rest of which must be finished first: nobody sees it any more. */
  readonly deleted?: true;
}

/** Snapshots of one moment: the record is that of all of them, for as long as there is one. */
export interface SnapshotSetRecord {
  readonly id: string;
  /** How many there were at first. */
  readonly size: number;
  readonly members: readonly SnapshotRecord[];
  /** Why none of them will have a kept point. */
  readonly failure?: string;
  /** The image that they were made for: by the same write, so that there are both or neither. */
  readonly image?: ImageRecord;
}

/** An image: which snapshots belong together, and where. What state it is in they say. */
export interface ImageRecord {
  readonly id: string;
  readonly createdAtMs: number;
  /** Of one image in an account and region. */
  readonly name: string;
  readonly description: string;
  /** `/dev/xvda` */
  readonly rootDevice: string;
  /** That of the root, and others. */
  readonly devices: readonly ImageDevice[];
  readonly tags: readonly Tag[];
  /** Whose volumes they show; absent where it was made of snapshots. */
  readonly instance?: string;
  /** A word: nothing is started from it. */
  readonly architecture?: string;
  /** It does not count before it has the claim to its name: another one may be faster. */
  readonly unconfirmed?: true;
}

export interface ImageDevice {
  readonly device: string;
  readonly snapshot: string;
  readonly sizeGiB: number;
  /** A word. */
  readonly type: VolumeKind;
  readonly deleteOnTermination: boolean;
}

/** Which instance profile a machine has. Its key is the machine's, so there is one at most, and one write decides. */
export interface ProfileAssociationRecord {
  /** Of this choice: never used again. */
  readonly id: string;
  readonly instance: string;
  /** By ARN and unique id: another one that takes its name later is not meant. */
  readonly profile: { readonly arn: string; readonly id: string };
  readonly sinceMs: number;
}

/** Tags of a machine; without any there is no record. */
export interface InstanceTagsRecord {
  readonly instance: string;
  readonly tags: readonly Tag[];
}

const prefix = ({ account, region }: Scope, kind: string) => `accounts/${account}/${region}/ec2/${kind}/`;

export const recordPrefixes = {
  volumes: (scope: Scope) => prefix(scope, 'volumes'),
  snapshots: (scope: Scope) => prefix(scope, 'snapshots'),
  sets: (scope: Scope) => prefix(scope, 'snapshot-sets'),
  images: (scope: Scope) => prefix(scope, 'images'),
  profileAssociations: (scope: Scope) => prefix(scope, 'profile-associations'),
  instanceTags: (scope: Scope) => prefix(scope, 'instance-tags'),
};
export const recordKeys = {
  volume: (scope: Scope, id: string) => recordPrefixes.volumes(scope) + id,
  snapshot: (scope: Scope, id: string) => recordPrefixes.snapshots(scope) + id,
  set: (scope: Scope, id: string) => recordPrefixes.sets(scope) + id,
  image: (scope: Scope, id: string) => recordPrefixes.images(scope) + id,
  profileAssociation: (scope: Scope, instance: string) =>
    recordPrefixes.profileAssociations(scope) + instance,
  instanceTags: (scope: Scope, instance: string) => recordPrefixes.instanceTags(scope) + instance,
};

/** Owner of kept points. */
export const OWNER = 'ec2';
export const GIB = 2 ** 30;
