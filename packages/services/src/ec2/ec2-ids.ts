/** Ids of EC2: random where something is made, never used again; derived where a machine is what it is of. */
import { createHash } from 'node:crypto';
import type { Random } from '@rokka/kernel';
import type { Scope } from '../scope.ts';

export type ResourceKind = 'volume' | 'snapshot' | 'instance' | 'image';

const DIGITS = 17;
const digits = (random: Random) => random.hex(Math.ceil(DIGITS / 2)).slice(0, DIGITS);

/** Also the name of its database, and the id of its storage volume. */
export const newVolumeId = (random: Random) => `vol-${digits(random)}`;
export const newSnapshotId = (random: Random) => `snap-${digits(random)}`;
export const newImageId = (random: Random) => `ami-${digits(random)}`;
export const newSetId = (random: Random) => `set-${digits(random)}`;
export const newAttachmentId = (random: Random) => `attach-${digits(random)}`;
export const newAssociationId = (random: Random) => `iip-assoc-${digits(random)}`;

/** Of a machine, as it is seen in an account and region: `i-…` is the machine, `vol-…` its disk, `r-…` how it came to be. */
export function derivedId({ account, region }: Scope, prefix: 'i' | 'vol' | 'r', key: string): string {
  const hash = createHash('sha256').update(JSON.stringify([account, region, prefix, key]));
  return `${prefix}-${hash.digest('hex').slice(0, DIGITS)}`;
}

export const PREFIXES: Readonly<Record<ResourceKind, string>> = {
  volume: 'vol-',
  snapshot: 'snap-',
  instance: 'i-',
  image: 'ami-',
};

/** Those of eight digits are from before 2016; here nobody has one. */
export const isId = (kind: ResourceKind, text: string) =>
  text.startsWith(PREFIXES[kind]) && /^([0-9a-f]{8}|[0-9a-f]{17})$/.test(text.slice(PREFIXES[kind].length));

export const isVolumeId = (name: string) => /^vol-[0-9a-f]{17}$/.test(name);
