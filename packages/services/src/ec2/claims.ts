/**
 * What only one volume may have: a directory of the machine, and a client's token. A claim is made after its volume's record
 * says that it wants it, and goes after the record does not say so any more. So one whose volume does not name it is left over
 * for certain, whoever may still sleep over it, and is taken away from its holder.
 */
import { createHash } from 'node:crypto';
import { must } from '@rokka/kernel';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { recordKeys, type VolumeRecord } from './ec2-records.ts';

export interface Claim {
  /** Attachment or volume: never used again. */
  readonly holder: string;
  readonly volume: string;
  readonly scope: Scope;
  /** Of the claim itself. */
  readonly key: string;
}

export const CLAIMS = 'ec2/claims/';
/** Directories are the machine's, whichever account or region asks. */
export const deviceKey = (mount: string) => `${CLAIMS}devices/${mount}`;
export const tokenKey = ({ account, region }: Scope, token: string) =>
  `${CLAIMS}tokens/${account}/${region}/${createHash('sha256').update(token).digest('hex')}`;

/** To the directory of its attachment. */
export function deviceClaimOf(scope: Scope, { id, attachment }: VolumeRecord): Claim {
  const { id: holder, mount } = must(attachment);
  return { holder, volume: id, scope, key: deviceKey(mount) };
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
  const volume = await store.get<VolumeRecord>(recordKeys.volume(found.scope, found.volume));
  if (volume && holdersOf(volume).includes(found.holder)) return found;
  await releaseClaim(store, found);
  return undefined;
}

export async function releaseClaim(store: RecordStore, { key, holder }: Claim): Promise<void> {
  await store.change<Claim>(key, (found) => (found?.holder === holder ? undefined : found));
}
