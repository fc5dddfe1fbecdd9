import { type SessionDocument, sessionKey } from './documents.ts';
import type { IdentityStore } from './identity-store.ts';

/** Of a place that is remembered as another session's, the registry is asked: this one may have taken it a moment ago. */
export async function findSession(
  store: IdentityStore,
  accessKeyId: string,
): Promise<SessionDocument | undefined> {
  const key = sessionKey(accessKeyId);
  const remembered = await store.read<SessionDocument>(key);
  if (!remembered || remembered.accessKeyId === accessKeyId) return remembered;
  const found = (await store.fresh<SessionDocument>(key))?.value;
  return found?.accessKeyId === accessKeyId ? found : undefined;
}
