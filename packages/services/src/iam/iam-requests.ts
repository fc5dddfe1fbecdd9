/**
 * What a call to IAM is about, for whoever authorizes it: ARNs of its resources, and the condition keys that its input
 * fills (Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access
 * Management"). An operation works on the first thing of this order that its input names: it attaches a policy to a user,
 * not a user to a policy.
 */
import type { Credential, ResourceAsk } from '@rokka/gateway';
import { callerOf } from './caller.ts';
import { type EntityKind, entityKey, type HolderDocument, type Tag } from './documents.ts';
import { entityArn, parseEntityArn } from './iam-arns.ts';
import type { IdentityStore } from './identity-store.ts';
import { askForPassing, resourceTags } from './passed-role.ts';

const NAMED: readonly (readonly [member: string, kind: EntityKind])[] = [
  ['InstanceProfileName', 'instance-profiles'],
  ['GroupName', 'groups'],
  ['UserName', 'users'],
  ['RoleName', 'roles'],
];

/** Without a user name they mean whoever calls. */
const OWN = new Set(['GetUser', 'CreateAccessKey', 'ListAccessKeys', 'UpdateAccessKey', 'DeleteAccessKey']);

export interface IamAsksOf {
  store: IdentityStore;
  credential: Credential;
  wallMs: number;
  /** `CreateUser`. */
  operation: string;
  input: Readonly<Record<string, unknown>>;
}

/** What whoever calls must be allowed, each with its own keys: those of a role that is handed on are not those of the profile. */
export async function iamAsks(of: IamAsksOf): Promise<readonly ResourceAsk[]> {
  const { operation, input, store } = of;
  const { arn, tags } = await subjectOf(of);
  const requestTags = Array.isArray(input.Tags) ? (input.Tags as Partial<Tag>[]) : [];
  const keys = [...requestTags.map(({ Key }) => Key ?? ''), ...textsOf(input.TagKeys)];
  const own = {
    arn,
    conditions: {
      ...Object.fromEntries(requestTags.map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value ?? ''])),
      ...(keys.length > 0 && { 'aws:TagKeys': keys }),
      ...resourceTags(tags),
      ...(typeof input.PermissionsBoundary === 'string' && {
        'iam:PermissionsBoundary': input.PermissionsBoundary,
      }),
      ...(typeof input.PolicyArn === 'string' && { 'iam:PolicyARN': input.PolicyArn }),
    },
  };
  if (operation !== 'AddRoleToInstanceProfile' || typeof input.RoleName !== 'string') return [own];
  return [own, askForPassing(await entity(store, 'roles', input.RoleName, undefined))];
}

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];

interface Subject {
  arn: string;
  tags: readonly Tag[];
}

async function subjectOf({ store, credential, wallMs, operation, input }: IamAsksOf): Promise<Subject> {
  for (const [member, kind] of NAMED) {
    const name = input[member];
    if (typeof name === 'string') return entity(store, kind, name, input.Path);
  }
  const arn = input.PolicySourceArn ?? input.PolicyArn;
  if (typeof arn === 'string') return entityByArn(store, arn);
  if (operation === 'CreatePolicy' && typeof input.PolicyName === 'string')
    return { arn: newArn(store, 'policies', input.PolicyName, input.Path), tags: [] };
  const caller = OWN.has(operation) ? await callerOf(store, credential, wallMs) : undefined;
  if (caller?.kind !== 'users') return { arn: '*', tags: [] };
  return { arn: entityArn(store.account, 'users', caller.holder), tags: caller.holder.tags };
}

/** Where there is none yet, the one that would be made. */
async function entity(store: IdentityStore, kind: EntityKind, name: string, path: unknown): Promise<Subject> {
  const key = entityKey(store.account, kind, name);
  const found = isKey(key) ? await store.read<HolderDocument>(key) : undefined;
  if (!found) return { arn: newArn(store, kind, name, path), tags: [] };
  return { arn: entityArn(store.account, kind, found), tags: found.tags };
}

async function entityByArn(store: IdentityStore, arn: string): Promise<Subject> {
  const parsed = parseEntityArn(arn);
  const found =
    parsed && (await store.read<HolderDocument>(entityKey(store.account, parsed.kind, parsed.name)));
  const isIt = parsed && found && entityArn(store.account, parsed.kind, found) === arn;
  return { arn, tags: isIt ? found.tags : [] };
}

const newArn = (store: IdentityStore, kind: EntityKind, name: string, path: unknown) =>
  entityArn(store.account, kind, { name, path: typeof path === 'string' ? path : '/' });

/** A name that no entity can have is the operation's to refuse. */
const isKey = (key: string) => /^[!-~]{1,512}$/.test(key);
