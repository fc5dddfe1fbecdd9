/** Every operation of IAM that Rokka has, by the name that callers use. */
import type { CallContext } from '../call-context.ts';
import type { IamContext, IdentityServices } from './iam-context.ts';
import { addRoleToInstanceProfile } from './operations/add-role-to-instance-profile.ts';
import { addUserToGroup } from './operations/add-user-to-group.ts';
import { attachGroupPolicy } from './operations/attach-group-policy.ts';
import { attachRolePolicy } from './operations/attach-role-policy.ts';
import { attachUserPolicy } from './operations/attach-user-policy.ts';
import { createAccessKey } from './operations/create-access-key.ts';
import { createGroup } from './operations/create-group.ts';
import { createInstanceProfile } from './operations/create-instance-profile.ts';
import { createPolicy } from './operations/create-policy.ts';
import { createPolicyVersion } from './operations/create-policy-version.ts';
import { createRole } from './operations/create-role.ts';
import { createUser } from './operations/create-user.ts';
import { deleteAccessKey } from './operations/delete-access-key.ts';
import { deleteGroup } from './operations/delete-group.ts';
import { deleteGroupPolicy } from './operations/delete-group-policy.ts';
import { deleteInstanceProfile } from './operations/delete-instance-profile.ts';
import { deletePolicy } from './operations/delete-policy.ts';
import { deletePolicyVersion } from './operations/delete-policy-version.ts';
import { deleteRole } from './operations/delete-role.ts';
import { deleteRolePermissionsBoundary } from './operations/delete-role-permissions-boundary.ts';
import { deleteRolePolicy } from './operations/delete-role-policy.ts';
import { deleteUser } from './operations/delete-user.ts';
import { deleteUserPermissionsBoundary } from './operations/delete-user-permissions-boundary.ts';
import { deleteUserPolicy } from './operations/delete-user-policy.ts';
import { detachGroupPolicy } from './operations/detach-group-policy.ts';
import { detachRolePolicy } from './operations/detach-role-policy.ts';
import { detachUserPolicy } from './operations/detach-user-policy.ts';
import { getGroup } from './operations/get-group.ts';
import { getGroupPolicy } from './operations/get-group-policy.ts';
import { getInstanceProfile } from './operations/get-instance-profile.ts';
import { getPolicy } from './operations/get-policy.ts';
import { getPolicyVersion } from './operations/get-policy-version.ts';
import { getRole } from './operations/get-role.ts';
import { getRolePolicy } from './operations/get-role-policy.ts';
import { getUser } from './operations/get-user.ts';
import { getUserPolicy } from './operations/get-user-policy.ts';
import { listAccessKeys } from './operations/list-access-keys.ts';
import { listAttachedGroupPolicies } from './operations/list-attached-group-policies.ts';
import { listAttachedRolePolicies } from './operations/list-attached-role-policies.ts';
import { listAttachedUserPolicies } from './operations/list-attached-user-policies.ts';
import { listEntitiesForPolicy } from './operations/list-entities-for-policy.ts';
import { listGroupPolicies } from './operations/list-group-policies.ts';
import { listGroups } from './operations/list-groups.ts';
import { listGroupsForUser } from './operations/list-groups-for-user.ts';
import { listInstanceProfileTags } from './operations/list-instance-profile-tags.ts';
import { listInstanceProfiles } from './operations/list-instance-profiles.ts';
import { listInstanceProfilesForRole } from './operations/list-instance-profiles-for-role.ts';
import { listPolicies } from './operations/list-policies.ts';
import { listPolicyTags } from './operations/list-policy-tags.ts';
import { listPolicyVersions } from './operations/list-policy-versions.ts';
import { listRolePolicies } from './operations/list-role-policies.ts';
import { listRoleTags } from './operations/list-role-tags.ts';
import { listRoles } from './operations/list-roles.ts';
import { listUserPolicies } from './operations/list-user-policies.ts';
import { listUserTags } from './operations/list-user-tags.ts';
import { listUsers } from './operations/list-users.ts';
import { putGroupPolicy } from './operations/put-group-policy.ts';
import { putRolePermissionsBoundary } from './operations/put-role-permissions-boundary.ts';
import { putRolePolicy } from './operations/put-role-policy.ts';
import { putUserPermissionsBoundary } from './operations/put-user-permissions-boundary.ts';
import { putUserPolicy } from './operations/put-user-policy.ts';
import { removeRoleFromInstanceProfile } from './operations/remove-role-from-instance-profile.ts';
import { removeUserFromGroup } from './operations/remove-user-from-group.ts';
import { setDefaultPolicyVersion } from './operations/set-default-policy-version.ts';
import { simulateCustomPolicy } from './operations/simulate-custom-policy.ts';
import { simulatePrincipalPolicy } from './operations/simulate-principal-policy.ts';
import { tagInstanceProfile } from './operations/tag-instance-profile.ts';
import { tagPolicy } from './operations/tag-policy.ts';
import { tagRole } from './operations/tag-role.ts';
import { tagUser } from './operations/tag-user.ts';
import { untagInstanceProfile } from './operations/untag-instance-profile.ts';
import { untagPolicy } from './operations/untag-policy.ts';
import { untagRole } from './operations/untag-role.ts';
import { untagUser } from './operations/untag-user.ts';
import { updateAccessKey } from './operations/update-access-key.ts';
import { updateAssumeRolePolicy } from './operations/update-assume-role-policy.ts';
import { updateRole } from './operations/update-role.ts';
import { updateUser } from './operations/update-user.ts';

/** A table as `defineService` of the gateway takes it. */
export function iamHandlers(services: IdentityServices) {
  const bind =
    <I, O>(operation: (input: I, context: IamContext) => Promise<O>) =>
    (input: I, call: CallContext): Promise<O> =>
      operation(input, { ...call, ...services });
  return {
    AddRoleToInstanceProfile: bind(addRoleToInstanceProfile),
    AddUserToGroup: bind(addUserToGroup),
    AttachGroupPolicy: bind(attachGroupPolicy),
    AttachRolePolicy: bind(attachRolePolicy),
    AttachUserPolicy: bind(attachUserPolicy),
    CreateAccessKey: bind(createAccessKey),
    CreateGroup: bind(createGroup),
    CreateInstanceProfile: bind(createInstanceProfile),
    CreatePolicy: bind(createPolicy),
    CreatePolicyVersion: bind(createPolicyVersion),
    CreateRole: bind(createRole),
    CreateUser: bind(createUser),
    DeleteAccessKey: bind(deleteAccessKey),
    DeleteGroup: bind(deleteGroup),
    DeleteGroupPolicy: bind(deleteGroupPolicy),
    DeleteInstanceProfile: bind(deleteInstanceProfile),
    DeletePolicy: bind(deletePolicy),
    DeletePolicyVersion: bind(deletePolicyVersion),
    DeleteRole: bind(deleteRole),
    DeleteRolePermissionsBoundary: bind(deleteRolePermissionsBoundary),
    DeleteRolePolicy: bind(deleteRolePolicy),
    DeleteUser: bind(deleteUser),
    DeleteUserPermissionsBoundary: bind(deleteUserPermissionsBoundary),
    DeleteUserPolicy: bind(deleteUserPolicy),
    DetachGroupPolicy: bind(detachGroupPolicy),
    DetachRolePolicy: bind(detachRolePolicy),
    DetachUserPolicy: bind(detachUserPolicy),
    GetGroup: bind(getGroup),
    GetGroupPolicy: bind(getGroupPolicy),
    GetInstanceProfile: bind(getInstanceProfile),
    GetPolicy: bind(getPolicy),
    GetPolicyVersion: bind(getPolicyVersion),
    GetRole: bind(getRole),
    GetRolePolicy: bind(getRolePolicy),
    GetUser: bind(getUser),
    GetUserPolicy: bind(getUserPolicy),
    ListAccessKeys: bind(listAccessKeys),
    ListAttachedGroupPolicies: bind(listAttachedGroupPolicies),
    ListAttachedRolePolicies: bind(listAttachedRolePolicies),
    ListAttachedUserPolicies: bind(listAttachedUserPolicies),
    ListEntitiesForPolicy: bind(listEntitiesForPolicy),
    ListGroupPolicies: bind(listGroupPolicies),
    ListGroups: bind(listGroups),
    ListGroupsForUser: bind(listGroupsForUser),
    ListInstanceProfileTags: bind(listInstanceProfileTags),
    ListInstanceProfiles: bind(listInstanceProfiles),
    ListInstanceProfilesForRole: bind(listInstanceProfilesForRole),
    ListPolicies: bind(listPolicies),
    ListPolicyTags: bind(listPolicyTags),
    ListPolicyVersions: bind(listPolicyVersions),
    ListRolePolicies: bind(listRolePolicies),
    ListRoleTags: bind(listRoleTags),
    ListRoles: bind(listRoles),
    ListUserPolicies: bind(listUserPolicies),
    ListUserTags: bind(listUserTags),
    ListUsers: bind(listUsers),
    PutGroupPolicy: bind(putGroupPolicy),
    PutRolePermissionsBoundary: bind(putRolePermissionsBoundary),
    PutRolePolicy: bind(putRolePolicy),
    PutUserPermissionsBoundary: bind(putUserPermissionsBoundary),
    PutUserPolicy: bind(putUserPolicy),
    RemoveRoleFromInstanceProfile: bind(removeRoleFromInstanceProfile),
    RemoveUserFromGroup: bind(removeUserFromGroup),
    SetDefaultPolicyVersion: bind(setDefaultPolicyVersion),
    SimulateCustomPolicy: bind(simulateCustomPolicy),
    SimulatePrincipalPolicy: bind(simulatePrincipalPolicy),
    TagInstanceProfile: bind(tagInstanceProfile),
    TagPolicy: bind(tagPolicy),
    TagRole: bind(tagRole),
    TagUser: bind(tagUser),
    UntagInstanceProfile: bind(untagInstanceProfile),
    UntagPolicy: bind(untagPolicy),
    UntagRole: bind(untagRole),
    UntagUser: bind(untagUser),
    UpdateAccessKey: bind(updateAccessKey),
    UpdateAssumeRolePolicy: bind(updateAssumeRolePolicy),
    UpdateRole: bind(updateRole),
    UpdateUser: bind(updateUser),
  };
}
