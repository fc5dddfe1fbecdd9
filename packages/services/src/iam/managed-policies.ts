/** Managed policies: those of the account, which can be changed, and the built-in ones, which cannot. */
import { BUILT_IN_POLICIES } from './built-in-policies.ts';
import { entityKey, type PolicyDocument, type PolicyVersionDocument } from './documents.ts';
import { entityArn, parseEntityArn } from './iam-arns.ts';
import type { IamContext } from './iam-context.ts';
import { iamFailures } from './iam-failures.ts';
import type { Holdings } from './policy-holders.ts';
import { checkedPolicy, sizeOf } from './policy-texts.ts';

export const VERSIONS_MAX = 5;
const SIZE_MAX = 6144;

/** Of a policy that was made this moment. */
export const NOBODY: Holdings = { attached: new Map(), boundaries: new Map() };

/** @throws MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export function checkedManagedPolicy(context: IamContext, text: string | undefined): string {
  const document = checkedPolicy(context.policies, text, 'identity');
  if (sizeOf(document) > SIZE_MAX) throw iamFailures.limitExceeded('PolicySize', SIZE_MAX);
  return document;
}

/** As it is now. @throws NoSuchEntityException */
export async function loadPolicy({ store }: IamContext, arn: string | undefined): Promise<PolicyDocument> {
  const builtIn = arn === undefined ? undefined : BUILT_IN_POLICIES.get(arn);
  if (builtIn) return builtIn;
  const name = arn === undefined ? undefined : parseEntityArn(arn)?.name;
  const found =
    name && (await store.fresh<PolicyDocument>(entityKey(store.account, 'policies', name)))?.value;
  if (!found || entityArn(store.account, 'policies', found) !== arn)
    throw iamFailures.notFound(`Policy ${arn}`);
  return found;
}

/** Under which name the account has it. @throws NoSuchEntityException, InvalidInputException for a built-in one */
export function policyNameOf({ store }: IamContext, arn: string | undefined): string {
  const parsed = arn === undefined ? undefined : parseEntityArn(arn);
  if (parsed?.account === 'aws')
    throw iamFailures.invalidInput(`${arn} is managed by AWS and cannot be changed.`);
  if (parsed?.kind !== 'policies' || parsed.account !== store.account)
    throw iamFailures.notFound(`Policy ${arn}`);
  return parsed.name;
}

/** @throws NoSuchEntityException */
export function versionOf(policy: PolicyDocument, id: string | undefined): PolicyVersionDocument {
  const found = policy.versions.find((version) => version.id === id);
  if (!found) throw iamFailures.notFound(`Policy ${policy.name} version ${id}`);
  return found;
}
