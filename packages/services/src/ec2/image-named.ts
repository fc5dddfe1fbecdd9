/** Which image has a name: for whoever is going to make one, before he holds anybody for it. */
import type { Registry } from '@rokka/registry';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { imageNameKey, liveClaim } from './claims.ts';

/** @returns its id; undefined where the name is free */
export async function imageNamed(
  { registry }: { registry: Registry },
  of: { scope: Scope; name: string },
): Promise<string | undefined> {
  const store = new RecordStore({ registry, service: 'ec2' });
  return (await liveClaim(store, imageNameKey(of.scope, of.name)))?.holder;
}
