/**
 * Temporary keys. They are kept, so that they outlive a restart, in 32,768 places by their last three letters. A place is
 * taken again once what is in it has expired: so nothing has to be swept, and their number is bounded.
 */
import type { Credentials } from '@aws-sdk/client-sts';
import { type SessionDocument, sessionKey } from '../iam/documents.ts';
import type { IamContext } from '../iam/iam-context.ts';
import { accessKeyId, secretKey, sessionToken } from '../iam/unique-ids.ts';
import { stsFailures } from './sts-failures.ts';

/** Random places that are tried. With nine of ten taken, one call in a thousand finds none. */
const PLACES_TRIED = 64;

export type SessionTerms = Pick<
  SessionDocument,
  'of' | 'sessionName' | 'policies' | 'tags' | 'sourceIdentity'
> & { seconds: number };

/** @throws Throttling */
export async function makeSession(
  context: Pick<IamContext, 'store' | 'random' | 'clock'>,
  { seconds, ...terms }: SessionTerms,
): Promise<Credentials> {
  const { store, random, clock } = context;
  const issuedAtMs = clock.wallMs();
  for (let i = 0; i < PLACES_TRIED; i++) {
    const session: SessionDocument = {
      account: store.account,
      accessKeyId: accessKeyId(random, 'ASIA'),
      secret: secretKey(random),
      token: sessionToken(random),
      issuedAtMs,
      expiresAtMs: issuedAtMs + seconds * 1000,
      ...terms,
    };
    if (await takePlace(context, session)) return shown(session);
  }
  throw stsFailures.tooMany();
}

/** False where a session that has not expired is in it. */
async function takePlace(
  { store, clock }: Pick<IamContext, 'store' | 'clock'>,
  session: SessionDocument,
): Promise<boolean> {
  const key = sessionKey(session.accessKeyId);
  const there = await store.update<SessionDocument, SessionDocument>(key, (found) =>
    found && found.expiresAtMs > clock.wallMs() ? found : session,
  );
  return there.accessKeyId === session.accessKeyId;
}

const shown = (session: SessionDocument): Credentials => ({
  AccessKeyId: session.accessKeyId,
  SecretAccessKey: session.secret,
  SessionToken: session.token,
  Expiration: new Date(session.expiresAtMs),
});
