import type {
  SimulatePrincipalPolicyCommandInput,
  SimulatePrincipalPolicyCommandOutput,
} from '@aws-sdk/client-iam';
import { callerContext } from '../caller.ts';
import { entityKey, type HolderDocument } from '../documents.ts';
import { entityArn, parseEntityArn } from '../iam-arns.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { type NamedPolicy, policyTextsOf } from '../principal-policies.ts';
import { givenBoundary, givenPolicies, simulate, type SourcedPolicy } from '../simulation.ts';

/** @throws NoSuchEntityException, MalformedPolicyDocumentException, InvalidInputException, ValidationError */
export async function simulatePrincipalPolicy(
  input: SimulatePrincipalPolicyCommandInput,
  context: IamContext,
): Promise<Output<SimulatePrincipalPolicyCommandOutput>> {
  const { kind, holder } = await holderByArn(context, input.PolicySourceArn);
  const texts = await policyTextsOf(context.store, holder);
  if (!texts)
    throw iamFailures.notFound(`A policy that is attached to ${holder.name}, and so it may do nothing, but`);
  const own = texts.identity.map((each) =>
    sourced(context, each, kind === 'users' ? 'user' : kind.slice(0, -1)),
  );
  const ownBoundary = texts.boundary && [context.policies.compile(texts.boundary.document)];
  return simulate({
    input,
    identity: [...own, ...givenPolicies(context, input.PolicyInputList)],
    boundary: givenBoundary(context, input.PermissionsBoundaryPolicyInputList) ?? ownBoundary,
    known: knownOf(context, kind, holder),
  });
}

async function holderByArn({ store }: IamContext, arn: string | undefined) {
  const parsed = arn === undefined ? undefined : parseEntityArn(arn);
  const kind = parsed?.kind;
  if (!parsed || (kind !== 'users' && kind !== 'groups' && kind !== 'roles'))
    throw iamFailures.invalidInput(`${arn} is no ARN of a user, group or role.`);
  const holder = (await store.fresh<HolderDocument>(entityKey(store.account, kind, parsed.name)))?.value;
  if (!holder || entityArn(store.account, kind, holder) !== arn)
    throw iamFailures.noSuchEntity(kind, parsed.name);
  return { kind, holder };
}

function sourced(
  { policies }: IamContext,
  { name, kind, document }: NamedPolicy,
  holder: string,
): SourcedPolicy {
  const type = kind === 'inline' ? (holder as SourcedPolicy['type']) : managedType(name);
  return { id: name, type, policy: policies.compile(document) };
}

const managedType = (arn: string) => (arn.startsWith('arn:aws:iam::aws:') ? 'aws-managed' : 'user-managed');

/** Of a role it is not known which of its sessions would call. */
function knownOf({ store, clock }: IamContext, kind: 'users' | 'groups' | 'roles', holder: HolderDocument) {
  if (kind === 'groups') return {};
  const arn = entityArn(store.account, kind, holder);
  const principal = { account: store.account, arn, userId: holder.id, kind: 'user' as const };
  return callerContext({ principal }, { kind, holder, session: undefined }, clock.wallMs());
}
