/** Names of images: what one may be, and which image has it. For whoever is going to make one, before he holds anybody for it. */
import type { Registry } from '@rokka/registry';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { claimant, imageNameKey, liveClaim } from './claims.ts';
import type { ImageRecord } from './ec2-records.ts';

const NAME = /^[A-Za-z0-9()[\] ./\-'@_]{3,128}$/;

export const IMAGE_NAME_RULE =
  "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, spaces, '(', ')', '[', ']', '.', '/', '-', ''', '@' and '_'";

export const isImageName = (text: string): boolean => NAME.test(text);

/** As its record has it. */
export interface ImageNamed extends Pick<ImageRecord, 'id' | 'devices' | 'tags'> {
  /** Whether EC2 shows it already: it has its name a little before that. */
  readonly counts: boolean;
}

/** Undefined where the name is free. */
export async function imageNamed(
  { registry }: { registry: Registry },
  of: { scope: Scope; name: string },
): Promise<ImageNamed | undefined> {
  const store = new RecordStore({ registry, service: 'ec2' });
  const claim = await liveClaim(store, imageNameKey(of.scope, of.name));
  const image = claim && (await claimant(store, claim));
  if (!image || image.id !== claim.holder) return undefined;
  const { id, devices, tags, unconfirmed } = image;
  return { id, devices, tags, counts: !unconfirmed };
}
