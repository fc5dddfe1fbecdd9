import type { AssumeRoleCommandInput, AssumeRoleCommandOutput } from '@aws-sdk/client-sts';
import { callerOf, type CallerState } from '../iam/caller.ts';
import type { RoleDocument, Tag } from '../iam/documents.ts';
import { assumedRoleArn, entityArn, parseEntityArn } from '../iam/iam-arns.ts';
import type { IamContext, Output } from '../iam/iam-context.ts';
import { roleByArn } from '../iam/role-by-arn.ts';
import { type Assumption, mayAssume } from './role-trust.ts';
import { sessionPolicies } from './session-policies.ts';
import { makeSession } from './sessions.ts';
import { stsFailures } from './sts-failures.ts';

const SECONDS_MIN = 900;
/** A session that comes from another one, and any that says nothing else. */
const SECONDS_USUAL = 3_600;
const TAGS_MAX = 50;

/** @throws AccessDenied, MalformedPolicyDocument, PackedPolicyTooLarge, ValidationError */
export async function assumeRole(
  input: AssumeRoleCommandInput,
  context: IamContext,
): Promise<Output<AssumeRoleCommandOutput>> {
  const { store, credential } = context;
  const sessionName = checkedText('RoleSessionName', input.RoleSessionName, /^[\w+=,.@-]{2,64}$/);
  const tags = checkInput(input);
  const caller = await callerOf(store, credential, context.clock.wallMs());
  const role = await findRole(context, input.RoleArn);
  // Whoever may not assume a role does not learn whether there is one.
  if (!caller || !role || !(await allActionsAllowed(context, { caller, role, tags, input })))
    throw stsFailures.accessDenied(credential.principal.arn, 'sts:AssumeRole', String(input.RoleArn));
  const credentials = await makeSession(context, {
    of: { kind: 'roles', name: role.name, id: role.id },
    sessionName,
    seconds: checkedSeconds(input.DurationSeconds, caller, role),
    ...withPolicies(await sessionPolicies(context, input)),
    ...(tags.length > 0 && { tags }),
    sourceIdentity: input.SourceIdentity ?? caller.session?.sourceIdentity,
  });
  return {
    Credentials: credentials,
    AssumedRoleUser: {
      AssumedRoleId: `${role.id}:${sessionName}`,
      Arn: assumedRoleArn(store.account, role.name, sessionName),
    },
    ...(input.SourceIdentity !== undefined && { SourceIdentity: input.SourceIdentity }),
  };
}

const withPolicies = (policies: string[] | undefined) => (policies ? { policies } : {});

function checkedText(member: string, text: string | undefined, pattern: RegExp): string {
  if (text !== undefined && pattern.test(text)) return text;
  throw stsFailures.validation(`${member} ${JSON.stringify(text)} must match ${pattern.source}`);
}

/** The tags. What is not kept here is refused, not dropped. */
function checkInput(input: AssumeRoleCommandInput): Tag[] {
  if (input.ExternalId !== undefined) checkedText('ExternalId', input.ExternalId, /^[\w+=,.@:/-]{2,1224}$/);
  if (input.SourceIdentity !== undefined)
    checkedText('SourceIdentity', input.SourceIdentity, /^(?!aws:)[\w+=,.@-]{2,64}$/i);
  if (input.TokenCode !== undefined || input.SerialNumber !== undefined)
    throw stsFailures.refused('MultiFactorAuthentication failed: no devices for it are kept here');
  if (input.TransitiveTagKeys?.length) throw stsFailures.validation('TransitiveTagKeys are not supported');
  if (input.ProvidedContexts?.length) throw stsFailures.validation('ProvidedContexts are not supported');
  const tags = (input.Tags ?? []).map(({ Key, Value }) => ({
    Key: checkedText('Tags.Key', Key, /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu),
    Value: checkedText('Tags.Value', Value, /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u),
  }));
  const keys = new Set(tags.map(({ Key }) => Key.toLowerCase()));
  if (keys.size < tags.length || tags.length > TAGS_MAX)
    throw stsFailures.validation(`Tags must be at most ${TAGS_MAX}, with keys that differ`);
  return tags;
}

async function findRole({ store }: IamContext, arn: string | undefined): Promise<RoleDocument | undefined> {
  const parsed = arn === undefined ? undefined : parseEntityArn(arn);
  if (!parsed) throw stsFailures.validation(`${arn} is invalid: RoleArn must be the ARN of a role`);
  return roleByArn(store, String(arn));
}

interface Request {
  caller: CallerState;
  role: RoleDocument;
  tags: readonly Tag[];
  input: AssumeRoleCommandInput;
}

/** Tags and a source identity are permissions of their own (IAM User Guide, "Pass session tags in AWS STS"). */
async function allActionsAllowed(
  context: IamContext,
  { caller, role, tags, input }: Request,
): Promise<boolean> {
  const actions: Assumption['action'][] = [
    'sts:AssumeRole',
    ...(tags.length > 0 ? (['sts:TagSession'] as const) : []),
    ...(input.SourceIdentity !== undefined ? (['sts:SetSourceIdentity'] as const) : []),
  ];
  const roleArn = entityArn(context.store.account, 'roles', role);
  const conditionKeys = conditionKeysOf(input, tags);
  for (const action of actions)
    if (!(await mayAssume(context, { caller, role, roleArn, action, conditionKeys }))) return false;
  return true;
}

function conditionKeysOf(input: AssumeRoleCommandInput, tags: readonly Tag[]) {
  return {
    'sts:RoleSessionName': input.RoleSessionName ?? '',
    ...(input.ExternalId !== undefined && { 'sts:ExternalId': input.ExternalId }),
    ...(input.SourceIdentity !== undefined && { 'sts:SourceIdentity': input.SourceIdentity }),
    ...Object.fromEntries(tags.map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value])),
    ...(tags.length > 0 && { 'aws:TagKeys': tags.map(({ Key }) => Key) }),
  };
}

function checkedSeconds(seconds: number = SECONDS_USUAL, { kind }: CallerState, role: RoleDocument): number {
  const max = kind === 'roles' ? SECONDS_USUAL : role.maxSessionSeconds;
  if (Number.isInteger(seconds) && seconds >= SECONDS_MIN && seconds <= max) return seconds;
  throw stsFailures.validation(
    `DurationSeconds ${seconds} must be ${SECONDS_MIN} to ${max}, what the role allows`,
  );
}
