/**
 * Temporary keys. They are kept, so that they outlive a restart, in 32 shards by their last letter: whoever makes one looks
 * through its shard, removes what has expired there, a bounded number at a time, and makes none where the shard is full.
 */
import type { Credentials } from '@aws-sdk/client-sts';
import { type SessionDocument, sessionKey } from '../iam/documents.ts';
import type { IamContext } from '../iam/iam-context.ts';
import { accessKeyId, ID_LETTERS, secretKey, sessionToken } from '../iam/unique-ids.ts';
import { sweepShard } from './session-sweep.ts';
import { stsFailures } from './sts-failures.ts';

const SHARD_SESSIONS_MAX = 256;

export type SessionTerms = Pick<
  SessionDocument,
  'of' | 'sessionName' | 'policies' | 'tags' | 'sourceIdentity'
> & { seconds: number };

/** @throws Throttling */
export async function makeSession(
  context: IamContext,
  { seconds, ...terms }: SessionTerms,
): Promise<Credentials> {
  const { store, random, clock } = context;
  const issuedAtMs = clock.wallMs();
  const session: SessionDocument = {
    account: store.account,
    accessKeyId: accessKeyId(random, 'ASIA'),
    secret: secretKey(random),
    token: sessionToken(random),
    issuedAtMs,
    expiresAtMs: issuedAtMs + seconds * 1000,
    ...terms,
  };
  if ((await sweepShard(context, session.accessKeyId.slice(-1))) >= SHARD_SESSIONS_MAX)
    throw stsFailures.tooMany(SHARD_SESSIONS_MAX * ID_LETTERS.length);
  await store.update<SessionDocument, SessionDocument>(sessionKey(session.accessKeyId), () => session);
  return {
    AccessKeyId: session.accessKeyId,
    SecretAccessKey: session.secret,
    SessionToken: session.token,
    Expiration: new Date(session.expiresAtMs),
  };
}
