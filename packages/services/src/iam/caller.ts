/** Who stands behind a credential, as the registry knows them now, and what policies may ask about them. */
import type { Credential } from '@rokka/gateway';
import {
  entityKey,
  type HolderDocument,
  type HolderKind,
  type RoleDocument,
  type SessionDocument,
  type UserDocument,
} from './documents.ts';
import { findSession } from './find-session.ts';
import { entityArn } from './iam-arns.ts';
import type { IdentityStore } from './identity-store.ts';

export interface CallerState {
  readonly kind: HolderKind;
  readonly holder: HolderDocument;
  readonly session: SessionDocument | undefined;
}

/** What policies may ask of a session. */
export type SessionFacts = Pick<SessionDocument, 'issuedAtMs' | 'tags' | 'sourceIdentity'>;

/** Undefined where the key, the session or its holder is no more. */
export async function callerOf(
  store: IdentityStore,
  credential: Credential,
  wallMs: number,
): Promise<CallerState | undefined> {
  return credential.sessionToken === undefined
    ? callerByKey(store, credential)
    : callerBySession(store, credential, wallMs);
}

async function callerByKey(store: IdentityStore, credential: Credential): Promise<CallerState | undefined> {
  const { principal, accessKeyId } = credential;
  const name = principal.arn.slice(principal.arn.lastIndexOf('/') + 1);
  const holder = await store.read<UserDocument>(entityKey(principal.account, 'users', name));
  const counts = holder?.accessKeys.some(({ id, active }) => id === accessKeyId && active);
  return holder?.id === principal.userId && counts
    ? { kind: 'users', holder, session: undefined }
    : undefined;
}

async function callerBySession(
  store: IdentityStore,
  { accessKeyId }: Credential,
  wallMs: number,
): Promise<CallerState | undefined> {
  const session = await findSession(store, accessKeyId);
  if (!session || session.expiresAtMs <= wallMs) return undefined;
  const { kind, name, id } = session.of;
  const holder = await store.read<UserDocument | RoleDocument>(entityKey(session.account, kind, name));
  return holder?.id === id ? { kind, holder, session } : undefined;
}

/**
 * The condition keys of the principal and of the time (IAM User Guide, "AWS global condition context keys"). They are not
 * the request's to say.
 */
export function callerContext(
  { principal }: Pick<Credential, 'principal'>,
  { kind, holder, session }: Omit<CallerState, 'session'> & { session: SessionFacts | undefined },
  wallMs: number,
): Record<string, string | readonly string[]> {
  const tags = [...holder.tags, ...(session?.tags ?? [])];
  const isUser = kind === 'users';
  return {
    'aws:PrincipalArn': entityArn(principal.account, kind, holder),
    'aws:PrincipalAccount': principal.account,
    'aws:PrincipalType': isUser ? 'User' : 'AssumedRole',
    'aws:PrincipalIsAWSService': 'false',
    'aws:userid': principal.userId,
    ...(isUser && { 'aws:username': holder.name }),
    ...(session && {
      'aws:TokenIssueTime': isoSeconds(session.issuedAtMs),
      // Nobody has a second factor here. Of a key of their own AWS says nothing at all.
      'aws:MultiFactorAuthPresent': 'false',
    }),
    ...(session?.sourceIdentity !== undefined && { 'aws:SourceIdentity': session.sourceIdentity }),
    ...Object.fromEntries(tags.map(({ Key, Value }) => [`aws:principaltag/${Key.toLowerCase()}`, Value])),
    ...timeContext(wallMs),
  };
}

/** Where a service of AWS is the one that calls. */
export const serviceContext = (service: string, wallMs: number): Record<string, string> => ({
  'aws:PrincipalIsAWSService': 'true',
  'aws:PrincipalServiceName': service,
  ...timeContext(wallMs),
});

const timeContext = (wallMs: number) => ({
  'aws:CurrentTime': isoSeconds(wallMs),
  'aws:EpochTime': String(Math.floor(wallMs / 1000)),
});

const isoSeconds = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
