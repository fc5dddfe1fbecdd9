/** Trust policies as callers send them: who is meant by each name is decided when the policy is written. */
import { entityKey, type HolderDocument, type RoleDocument } from './documents.ts';
import { entityArn, parseEntityArn } from './iam-arns.ts';
import type { IamContext } from './iam-context.ts';
import { iamFailures } from './iam-failures.ts';
import { checkedPolicy, sizeOf } from './policy-texts.ts';

const TRUST_MAX = 4096;

/** @throws MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function checkedTrust(
  context: IamContext,
  text: string | undefined,
): Promise<Pick<RoleDocument, 'trust' | 'trustIds'>> {
  const trust = checkedPolicy(context.policies, text, 'trust');
  if (sizeOf(trust) > TRUST_MAX) throw iamFailures.limitExceeded('ACLSizePerRole', TRUST_MAX);
  const principals = context.policies
    .compile(trust, 'trust')
    .statements.flatMap((each) => each.principals ?? []);
  for (const account of principals.flatMap(({ accounts }) => accounts))
    if (account !== context.store.account) throw invalidPrincipal(account);
  const ids: Record<string, string> = {};
  for (const arn of principals.flatMap(({ arns }) => arns)) ids[arn] = await idOf(context, arn);
  return { trust, trustIds: ids };
}

async function idOf({ store }: IamContext, arn: string): Promise<string> {
  const session = /^arn:aws:sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/[\w+=,.@-]+$/.exec(arn);
  const parsed = parseEntityArn(arn);
  const kind = session ? 'roles' : parsed?.kind;
  const name = session?.[2] ?? parsed?.name;
  if ((session?.[1] ?? parsed?.account) !== store.account || kind === undefined || name === undefined)
    throw invalidPrincipal(arn);
  const found = (await store.fresh<HolderDocument>(entityKey(store.account, kind, name)))?.value;
  if (!found || (!session && entityArn(store.account, kind, found) !== arn)) throw invalidPrincipal(arn);
  return found.id;
}

const invalidPrincipal = (name: string) =>
  iamFailures.malformedPolicy(`Invalid principal in policy: "AWS":"${name}"`);
