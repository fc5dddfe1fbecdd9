/**
 * The keys of a machine: a session of the role that its instance profile has, named after the instance, for an hour. Whoever asks for
 * them on the machine's behalf keeps them until shortly before they expire: each call makes new ones, and places for sessions are
 * limited (sts/sessions.ts).
 *
 * Association, profile, role and trust policy are read anew each time. What was given out before ends with its time, or with the role.
 */
import { must } from '@rokka/kernel';
import { entityKey, type InstanceProfileDocument, type RoleDocument } from '../iam/documents.ts';
import { entityArn, parseEntityArn } from '../iam/iam-arns.ts';
import { EC2_PRINCIPAL } from '../iam/passed-role.ts';
import { roleIn } from '../iam/profile-role.ts';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { mayServiceAssume } from '../sts/role-trust.ts';
import type { Ec2Context } from './ec2-context.ts';
import { readAssociation } from './profile-associations.ts';

const SECONDS = 3_600;

export interface InstanceCredentialsOf {
  context: Pick<Ec2Context, 'registry' | 'clock' | 'identity'>;
  scope: Scope;
  /** `i-…`, in this account and region. */
  instanceId: string;
}

export interface InstanceCredentials {
  /** `ASIA…`. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

export interface InstanceRole {
  readonly profileArn: string;
  /** `AIPA…`. */
  readonly profileId: string;
  readonly roleName: string;
}

/** Why there are none, as a sentence. */
export interface NoCredentials {
  readonly missing: string;
}

/** @throws Throttling where nearly all places for sessions are taken; errors of the registry */
export async function instanceCredentials(
  of: InstanceCredentialsOf,
): Promise<InstanceCredentials | NoCredentials> {
  const found = await findRole(of);
  if ('missing' in found) return found;
  const { context, instanceId } = of;
  const { name, id } = found.role;
  // The SDK's module behind it is large, and most machines have no role.
  const { makeSession } = await import('../sts/sessions.ts');
  const made = await makeSession(
    { ...context.identity, clock: context.clock },
    { of: { kind: 'roles', name, id }, sessionName: instanceId, seconds: SECONDS },
  );
  return {
    accessKeyId: must(made.AccessKeyId),
    secretAccessKey: must(made.SecretAccessKey),
    sessionToken: must(made.SessionToken),
    expiration: must(made.Expiration),
  };
}

/** What the machine would be given, without making a session. @throws errors of the registry */
export async function instanceRole(of: InstanceCredentialsOf): Promise<InstanceRole | NoCredentials> {
  const found = await findRole(of);
  if ('missing' in found) return found;
  return { profileArn: found.profileArn, profileId: found.profileId, roleName: found.role.name };
}

interface FoundRole {
  readonly profileArn: string;
  readonly profileId: string;
  readonly role: RoleDocument;
}

async function findRole({
  context,
  scope,
  instanceId,
}: InstanceCredentialsOf): Promise<FoundRole | NoCredentials> {
  const { registry, clock, identity } = context;
  const { store } = identity;
  const association = await readAssociation(new RecordStore({ registry, service: 'ec2' }), scope, instanceId);
  if (!association) return { missing: `No instance profile is associated with instance ${instanceId}.` };
  const { arn: profileArn, id: profileId } = association.profile;
  const key = entityKey(store.account, 'instance-profiles', must(parseEntityArn(profileArn)).name);
  const profile = (await store.fresh<InstanceProfileDocument>(key))?.value;
  if (profile?.id !== profileId)
    return { missing: `${profileArn}, the instance profile of instance ${instanceId}, was deleted.` };
  const role = await roleIn(identity, profile);
  if (!profile.role) return { missing: `${profileArn} has no role: add one to it.` };
  if (!role)
    return { missing: `The role ${profile.role.name} of ${profileArn} was deleted: add another one to it.` };
  const roleArn = entityArn(store.account, 'roles', role);
  const isTrusted = mayServiceAssume(
    { ...identity, clock },
    { service: EC2_PRINCIPAL, role, region: scope.region, sessionName: instanceId },
  );
  if (!isTrusted)
    return { missing: `The trust policy of ${roleArn} does not allow ${EC2_PRINCIPAL} to assume it.` };
  return { profileArn, profileId, role };
}
