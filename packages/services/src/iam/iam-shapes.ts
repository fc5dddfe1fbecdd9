/** Documents of the registry as IAM's answers show them. */
import type {
  AccessKeyMetadata,
  AttachedPermissionsBoundary,
  Group,
  InstanceProfile,
  Policy,
  PolicyVersion,
  Role,
  User,
} from '@aws-sdk/client-iam';
import { BUILT_IN_POLICIES } from './built-in-policies.ts';
import type {
  AccessKeyDocument,
  EntityKind,
  GroupDocument,
  HolderDocument,
  InstanceProfileDocument,
  PolicyDocument,
  PolicyVersionDocument,
  RoleDocument,
  Tag,
  UserDocument,
} from './documents.ts';
import { entityArn } from './iam-arns.ts';
import type { Holdings } from './policy-holders.ts';

const common = (
  account: string,
  kind: EntityKind,
  of: { name: string; path: string; createdAtMs: number },
) => ({
  Path: of.path,
  Arn: entityArn(account, kind, of),
  CreateDate: new Date(of.createdAtMs),
});

const tagsOf = (tags: readonly Tag[]) => (tags.length > 0 ? { Tags: tags.map((tag) => ({ ...tag })) } : {});

function boundaryOf({ boundary }: HolderDocument): { PermissionsBoundary?: AttachedPermissionsBoundary } {
  if (!boundary) return {};
  return {
    PermissionsBoundary: {
      PermissionsBoundaryType: 'PermissionsBoundaryPolicy',
      PermissionsBoundaryArn: boundary.arn,
    },
  };
}

export function userShape(account: string, user: UserDocument): User {
  return {
    ...common(account, 'users', user),
    UserName: user.name,
    UserId: user.id,
    ...boundaryOf(user),
    ...tagsOf(user.tags),
  };
}

/** What lists show (IAM API Reference, ListUsers): neither tags nor boundary. */
export function userSummary(account: string, user: UserDocument): User {
  return userShape(account, { ...user, tags: [], boundary: undefined });
}

export function groupShape(account: string, group: GroupDocument): Group {
  return { ...common(account, 'groups', group), GroupName: group.name, GroupId: group.id };
}

export function roleShape(account: string, role: RoleDocument): Role {
  return {
    ...common(account, 'roles', role),
    RoleName: role.name,
    RoleId: role.id,
    AssumeRolePolicyDocument: encodeURIComponent(role.trust),
    MaxSessionDuration: role.maxSessionSeconds,
    ...(role.description !== undefined && { Description: role.description }),
    ...boundaryOf(role),
    ...tagsOf(role.tags),
  };
}

/** As with users. */
export function roleSummary(account: string, role: RoleDocument): Role {
  return roleShape(account, { ...role, tags: [], boundary: undefined });
}

export function policyArn(account: string, policy: PolicyDocument): string {
  const builtIn = [...BUILT_IN_POLICIES].find(([, { id }]) => id === policy.id);
  return builtIn?.[0] ?? entityArn(account, 'policies', policy);
}

export function policyShape(
  account: string,
  policy: PolicyDocument,
  { attached, boundaries }: Holdings,
): Policy {
  return {
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policyArn(account, policy),
    Path: policy.path,
    DefaultVersionId: policy.defaultVersionId,
    AttachmentCount: attached.get(policy.id) ?? 0,
    PermissionsBoundaryUsageCount: boundaries.get(policy.id) ?? 0,
    IsAttachable: true,
    CreateDate: new Date(policy.createdAtMs),
    UpdateDate: new Date(policy.updatedAtMs),
  };
}

/** What GetPolicy and CreatePolicy show and ListPolicies does not. */
export function policyDetails({ description, tags }: PolicyDocument): Pick<Policy, 'Description' | 'Tags'> {
  return { ...(description !== undefined && { Description: description }), ...tagsOf(tags) };
}

export function policyVersionShape(policy: PolicyDocument, version: PolicyVersionDocument): PolicyVersion {
  return {
    VersionId: version.id,
    IsDefaultVersion: version.id === policy.defaultVersionId,
    CreateDate: new Date(version.createdAtMs),
  };
}

export function accessKeyShape(user: UserDocument, key: AccessKeyDocument): AccessKeyMetadata {
  return {
    UserName: user.name,
    AccessKeyId: key.id,
    Status: key.active ? 'Active' : 'Inactive',
    CreateDate: new Date(key.createdAtMs),
  };
}

export function instanceProfileShape(
  account: string,
  profile: InstanceProfileDocument,
  role: RoleDocument | undefined,
): InstanceProfile {
  return {
    ...common(account, 'instance-profiles', profile),
    InstanceProfileName: profile.name,
    InstanceProfileId: profile.id,
    Roles: role ? [roleShape(account, role)] : [],
    ...tagsOf(profile.tags),
  };
}
