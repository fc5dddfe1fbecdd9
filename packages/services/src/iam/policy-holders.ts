/**
 * Policies of users, groups and roles. What somebody holds stands in their own document and nowhere else: one
 * compare-and-set attaches a policy, and who has it is found by looking at all who could.
 */
import type { AttachedPolicy } from '@aws-sdk/client-iam';
import { type HolderDocument, type HolderKind, type PolicyReference, entityPrefix } from './documents.ts';
import { changeEntity, loadEntity } from './entities.ts';
import { parseEntityArn } from './iam-arns.ts';
import type { IamContext } from './iam-context.ts';
import { iamFailures } from './iam-failures.ts';
import { checkedName } from './iam-names.ts';
import { pageOf, type PageInput } from './pages.ts';
import { checkedPolicy, sizeOf } from './policy-texts.ts';
import { findPolicy } from './principal-policies.ts';
import { BUILT_IN_POLICIES } from './built-in-policies.ts';
import { entityKey, type PolicyDocument } from './documents.ts';

const ATTACHED_MAX = 10;
/** Characters, without white space, of all inline policies together (IAM User Guide, "IAM and AWS STS quotas"). */
const INLINE_MAX: Record<HolderKind, number> = { users: 2048, groups: 5120, roles: 10_240 };

export interface HolderName {
  kind: HolderKind;
  name: string;
}

type Change = (found: HolderDocument) => Partial<HolderDocument> | undefined;

/** Undefined: leave it as it is. */
function changeHolder(
  context: IamContext,
  { kind, name }: HolderName,
  change: Change,
): Promise<HolderDocument> {
  return changeEntity(context, kind, name, (found) => {
    const changed = change(found);
    return changed ? { ...found, ...changed } : found;
  });
}

/** @throws NoSuchEntityException, LimitExceededException */
export async function attachPolicy(
  context: IamContext,
  holder: HolderName,
  arn: string | undefined,
): Promise<void> {
  const reference = await referenceTo(context, arn);
  await changeHolder(context, holder, ({ attached }) => {
    if (attached.some(({ id }) => id === reference.id)) return undefined;
    const others = attached.filter((each) => each.arn !== reference.arn);
    if (others.length >= ATTACHED_MAX) throw iamFailures.limitExceeded('PoliciesPerEntity', ATTACHED_MAX);
    return { attached: [...others, reference] };
  });
  if (await isThere(context, reference)) return;
  // Somebody deleted it after we looked and before it was attached, when nobody had it yet.
  await changeHolder(context, holder, ({ attached }) => ({
    attached: attached.filter(({ id }) => id !== reference.id),
  }));
  throw iamFailures.notAttachable(reference.arn);
}

/** @throws NoSuchEntityException */
export async function detachPolicy(
  context: IamContext,
  holder: HolderName,
  arn: string | undefined,
): Promise<void> {
  await changeHolder(context, holder, ({ attached }) => {
    const rest = attached.filter((each) => each.arn !== arn);
    if (rest.length === attached.length)
      throw iamFailures.notFound(`Policy ${arn}, attached to ${holder.name},`);
    return { attached: rest };
  });
}

export async function listAttachedPolicies(
  context: IamContext,
  holder: HolderName,
  input: PageInput & { PathPrefix?: string | undefined },
): Promise<{ AttachedPolicies: AttachedPolicy[]; IsTruncated: boolean; Marker?: string }> {
  const { attached } = await loadEntity(context, holder.kind, holder.name);
  const within = attached.filter(({ arn }) => parseEntityArn(arn)?.path.startsWith(input.PathPrefix ?? '/'));
  const { items, more } = pageOf(within, input, ({ arn }) => arn);
  const named = items.map(({ arn }) => ({ PolicyName: parseEntityArn(arn)?.name, PolicyArn: arn }));
  return { AttachedPolicies: named, ...more };
}

/** @throws NoSuchEntityException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function putInlinePolicy(
  context: IamContext,
  holder: HolderName,
  input: { PolicyName: string | undefined; PolicyDocument: string | undefined },
): Promise<void> {
  const name = checkedName('PolicyName', input.PolicyName, 128);
  const document = checkedPolicy(context.policies, input.PolicyDocument, 'identity');
  const max = INLINE_MAX[holder.kind];
  await changeHolder(context, holder, ({ inline }) => {
    const changed = [...inline.filter((each) => each.name !== name), { name, document }];
    const size = changed.reduce((sum, each) => sum + sizeOf(each.document), 0);
    if (size > max) throw iamFailures.limitExceeded(`the size of the inline policies of ${holder.name}`, max);
    return { inline: changed };
  });
}

/** @throws NoSuchEntityException */
export async function getInlinePolicy(
  context: IamContext,
  holder: HolderName,
  policyName: string | undefined,
): Promise<{ PolicyName: string; PolicyDocument: string }> {
  const { inline } = await loadEntity(context, holder.kind, holder.name);
  const found = inline.find(({ name }) => name === policyName);
  if (!found) throw iamFailures.noSuchEntity('policies', String(policyName));
  return { PolicyName: found.name, PolicyDocument: encodeURIComponent(found.document) };
}

/** @throws NoSuchEntityException */
export async function deleteInlinePolicy(
  context: IamContext,
  holder: HolderName,
  policyName: string | undefined,
): Promise<void> {
  await changeHolder(context, holder, ({ inline }) => {
    const rest = inline.filter(({ name }) => name !== policyName);
    if (rest.length === inline.length) throw iamFailures.noSuchEntity('policies', String(policyName));
    return { inline: rest };
  });
}

export async function listInlinePolicies(
  context: IamContext,
  holder: HolderName,
  input: PageInput,
): Promise<{ PolicyNames: string[]; IsTruncated: boolean; Marker?: string }> {
  const { inline } = await loadEntity(context, holder.kind, holder.name);
  const names = inline.map(({ name }) => name);
  const { items, more } = pageOf(names, input, (name) => name);
  return { PolicyNames: items, ...more };
}

/** @throws NoSuchEntityException */
export async function putBoundary(
  context: IamContext,
  holder: HolderName,
  arn: string | undefined,
): Promise<void> {
  const boundary = await referenceTo(context, arn);
  const before = await changeHolder(context, holder, () => ({ boundary }));
  if (await isThere(context, boundary)) return;
  // It was deleted meanwhile. Its holder may do nothing now, which is safer than what was before.
  throw iamFailures.notFound(`Policy ${boundary.arn}, now the boundary of ${before.name},`);
}

/** @throws NoSuchEntityException */
export async function deleteBoundary(context: IamContext, holder: HolderName): Promise<void> {
  await changeHolder(context, holder, ({ boundary }) => {
    if (!boundary) throw iamFailures.notFound(`A permissions boundary of ${holder.name}`);
    return { boundary: undefined };
  });
}

/** @throws NoSuchEntityException */
export async function referenceTo({ store }: IamContext, arn: string | undefined): Promise<PolicyReference> {
  const policy = arn === undefined ? undefined : await findPolicy(store, arn);
  if (!policy || arn === undefined) throw iamFailures.notAttachable(arn);
  return { arn, id: policy.id };
}

async function isThere({ store }: IamContext, { arn, id }: PolicyReference): Promise<boolean> {
  if (BUILT_IN_POLICIES.has(arn)) return true;
  const name = parseEntityArn(arn)?.name ?? '';
  return (await store.fresh<PolicyDocument>(entityKey(store.account, 'policies', name)))?.value.id === id;
}

export interface Holdings {
  /** How many have it attached, by the policy's id. */
  attached: Map<string, number>;
  /** How many have it as their boundary. */
  boundaries: Map<string, number>;
}

/** Who has what, over all users, groups and roles. */
export async function holdings({ store }: Pick<IamContext, 'store'>): Promise<Holdings> {
  const kinds: HolderKind[] = ['users', 'groups', 'roles'];
  const lists = await Promise.all(
    kinds.map((kind) => store.list<HolderDocument>(entityPrefix(store.account, kind))),
  );
  const found: Holdings = { attached: new Map(), boundaries: new Map() };
  const count = (counts: Map<string, number>, id: string) => counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const holder of lists.flat()) {
    for (const { id } of holder.attached) count(found.attached, id);
    if (holder.boundary) count(found.boundaries, holder.boundary.id);
  }
  return found;
}

/** @throws DeleteConflictException while policies are attached or embedded */
export function checkHoldsNothing({ attached, inline }: HolderDocument): void {
  if (attached.length > 0) throw iamFailures.deleteConflict('must detach all policies');
  if (inline.length > 0) throw iamFailures.deleteConflict('must delete policies');
}
