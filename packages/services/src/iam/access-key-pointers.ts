/** Which user a key belongs to, so that one look finds it. A pointer alone lets nobody in. */
import { type AccessKeyPointer, accessKeyPointerKey } from './documents.ts';
import type { IdentityStore } from './identity-store.ts';

export async function makePointer(store: IdentityStore, keyId: string, userName: string): Promise<void> {
  const pointer: AccessKeyPointer = { account: store.account, userName };
  await store.update<AccessKeyPointer, AccessKeyPointer>(
    accessKeyPointerKey(keyId),
    (found) => found ?? pointer,
  );
}

/** Only if it is this user's. */
export async function removePointer(store: IdentityStore, keyId: string, userName: string): Promise<void> {
  await store.update<AccessKeyPointer, AccessKeyPointer | undefined>(accessKeyPointerKey(keyId), (found) =>
    found?.userName.toLowerCase() === userName.toLowerCase() ? undefined : found,
  );
}
