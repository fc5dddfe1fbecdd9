/**
 * What only one may have: a directory of the machine and a client's token of volumes, a name of images. A claim is made after the record
 * says that it wants it, and goes after the record does not say so any more. So one whose record does not name it is left over
 * for certain, whoever may still sleep over it, and is taken away from its holder.
 */
import { createHash } from 'node:crypto';
import { must } from '@rokka/kernel';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import {
  type Attachment,
  type ImageRecord,
  recordKeys,
  type SnapshotSetRecord,
  type VolumeRecord,
} from './ec2-records.ts';

export interface Claim {
  /** Attachment, volume or image: never used again. */
  readonly holder: string;
  /** That wants it. */
  readonly volume?: string;
  /** Where an image wants it, the key of the record that it is in. */
  readonly image?: string;
  readonly scope: Scope;
  /** Of the claim itself. */
  readonly key: string;
}

export const CLAIMS = 'ec2/claims/';
/** Directories are the machine's, whichever account or region asks. Those of the cluster's first stand by themselves. */
export const deviceKey = ({ mount, machine }: Pick<Attachment, 'mount' | 'machine'>) =>
  `${CLAIMS}devices/${machine === undefined ? '' : `${machine}/`}${mount}`;
export const tokenKey = ({ account, region }: Scope, token: string) =>
  `${CLAIMS}tokens/${account}/${region}/${createHash('sha256').update(token).digest('hex')}`;

export const imageNameKey = ({ account, region }: Scope, name: string) =>
  `${CLAIMS}image-names/${account}/${region}/${createHash('sha256').update(name).digest('hex')}`;

/** @param image the key of the record that it is in */
export const nameClaimOf = (scope: Scope, { id, name }: ImageRecord, image: string): Claim => ({
  holder: id,
  image,
  scope,
  key: imageNameKey(scope, name),
});

/** To the directory of its attachment. */
export function deviceClaimOf(scope: Scope, { id, attachment }: VolumeRecord): Claim {
  const { id: holder, ...place } = must(attachment);
  return { holder, volume: id, scope, key: deviceKey(place) };
}

export function tokenClaimOf(scope: Scope, { id, token }: VolumeRecord): Claim {
  return { holder: id, volume: id, scope, key: tokenKey(scope, must(token).token) };
}

/** What a volume holds, or may hold. */
export function holdersOf(volume: VolumeRecord): string[] {
  return [volume.id, ...(volume.attachment ? [volume.attachment.id] : [])];
}

/** Takes it where nobody has it who is still there. */
export async function makeClaim(store: RecordStore, claim: Claim): Promise<void> {
  if (await store.create(claim.key, claim)) return;
  const found = await liveClaim(store, claim.key);
  if (!found) await store.create(claim.key, claim);
}

/** Undefined where nobody has it; one that is left over is removed on the way. */
export async function liveClaim(store: RecordStore, key: string): Promise<Claim | undefined> {
  const found = await store.get<Claim>(key);
  if (!found) return undefined;
  if ((await namedHolders(store, found)).includes(found.holder)) return found;
  await releaseClaim(store, found);
  return undefined;
}

async function namedHolders(store: RecordStore, claim: Claim): Promise<string[]> {
  const { scope, volume, image } = claim;
  if (image !== undefined) {
    const one = await claimant(store, claim);
    return one ? [one.id] : [];
  }
  const found = await store.get<VolumeRecord>(recordKeys.volume(scope, must(volume)));
  return found ? holdersOf(found) : [];
}

/** The image in the record that a claim to a name is for. */
export async function claimant(store: RecordStore, { image }: Claim): Promise<ImageRecord | undefined> {
  const found = await store.get<ImageRecord | SnapshotSetRecord>(must(image));
  return found && 'members' in found ? found.image : found;
}

export async function releaseClaim(store: RecordStore, { key, holder }: Claim): Promise<void> {
  await store.change<Claim>(key, (found) => (found?.holder === holder ? undefined : found));
}
