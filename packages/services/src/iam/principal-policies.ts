/**
 * Which policies count for a user or a role. Whoever has a policy attached that cannot be found, or is in a group that
 * cannot be, may do nothing until it is detached: it might have been the one that denies.
 */
import { BUILT_IN_POLICIES } from './built-in-policies.ts';
import {
  entityKey,
  type GroupDocument,
  type HolderDocument,
  type PolicyDocument,
  type PolicyReference,
  type UserDocument,
} from './documents.ts';
import { entityArn, parseEntityArn } from './iam-arns.ts';
import type { IdentityServices } from './iam-context.ts';
import type { Policies } from './policy/evaluation.ts';
import type { IdentityStore } from './identity-store.ts';

export interface NamedPolicy {
  readonly name: string;
  readonly kind: 'managed' | 'inline';
  readonly document: string;
}

export interface PolicyTexts {
  readonly identity: readonly NamedPolicy[];
  readonly boundary: NamedPolicy | undefined;
}

/** Undefined where there is no policy of this ARN. */
export async function findPolicy(store: IdentityStore, arn: string): Promise<PolicyDocument | undefined> {
  const builtIn = BUILT_IN_POLICIES.get(arn);
  if (builtIn) return builtIn;
  const parsed = parseEntityArn(arn);
  if (parsed?.kind !== 'policies' || parsed.account !== store.account) return undefined;
  const found = await store.read<PolicyDocument>(entityKey(store.account, 'policies', parsed.name));
  return found && entityArn(store.account, 'policies', found) === arn ? found : undefined;
}

export function defaultVersionOf(policy: PolicyDocument): string | undefined {
  return policy.versions.find(({ id }) => id === policy.defaultVersionId)?.document;
}

/** Undefined where one of them cannot be found. */
export async function policyTextsOf(
  store: IdentityStore,
  holder: HolderDocument | UserDocument,
): Promise<PolicyTexts | undefined> {
  const groups = await groupsOf(store, holder);
  const identity = await Promise.all([holder, ...(groups ?? [])].map((each) => ownTexts(store, each)));
  const boundary = holder.boundary && (await managedText(store, holder.boundary));
  if (!groups || (holder.boundary && !boundary)) return undefined;
  const found = identity.flatMap((texts) => texts ?? []);
  return identity.includes(undefined) ? undefined : { identity: found, boundary };
}

export async function policiesOf(
  { store, policies }: Pick<IdentityServices, 'store' | 'policies'>,
  holder: HolderDocument,
): Promise<Policies | undefined> {
  const texts = await policyTextsOf(store, holder);
  return (
    texts && {
      identity: texts.identity.map(({ document }) => policies.compile(document)),
      boundary: texts.boundary && [policies.compile(texts.boundary.document)],
    }
  );
}

async function groupsOf(
  store: IdentityStore,
  holder: HolderDocument | UserDocument,
): Promise<GroupDocument[] | undefined> {
  const members = 'groups' in holder ? holder.groups : [];
  const found = await Promise.all(
    members.map(({ name }) => store.read<GroupDocument>(entityKey(store.account, 'groups', name))),
  );
  const groups = found.filter((group, i) => group?.id === members[i].id);
  return groups.length === members.length ? (groups as GroupDocument[]) : undefined;
}

async function ownTexts(store: IdentityStore, holder: HolderDocument): Promise<NamedPolicy[] | undefined> {
  const attached = await Promise.all(holder.attached.map((reference) => managedText(store, reference)));
  if (attached.includes(undefined)) return undefined;
  const inline = holder.inline.map(({ name, document }) => ({ name, kind: 'inline' as const, document }));
  return [...inline, ...attached.flatMap((policy) => policy ?? [])];
}

async function managedText(
  store: IdentityStore,
  { arn, id }: PolicyReference,
): Promise<NamedPolicy | undefined> {
  const policy = await findPolicy(store, arn);
  const document = policy?.id === id ? defaultVersionOf(policy) : undefined;
  return document === undefined ? undefined : { name: arn, kind: 'managed', document };
}
