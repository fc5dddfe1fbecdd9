/** Names of images: what one may be, and which image has it. For whoever is going to make one, before he holds anybody for it. */
import type { Registry } from '@rokka/registry';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { imageNameKey, liveClaim } from './claims.ts';

const NAME = /^[A-Za-z0-9()[\] ./\-'@_]{3,128}$/;

export const IMAGE_NAME_RULE =
  "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, spaces, '(', ')', '[', ']', '.', '/', '-', ''', '@' and '_'";

export const isImageName = (text: string): boolean => NAME.test(text);

/** @returns its id; undefined where the name is free */
export async function imageNamed(
  { registry }: { registry: Registry },
  of: { scope: Scope; name: string },
): Promise<string | undefined> {
  const store = new RecordStore({ registry, service: 'ec2' });
  return (await liveClaim(store, imageNameKey(of.scope, of.name)))?.holder;
}
