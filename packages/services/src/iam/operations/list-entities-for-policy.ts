import type { HolderDocument, HolderKind } from '../documents.ts';
import { listEntities } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { loadPolicy } from '../managed-policies.ts';
import { pageOf } from '../pages.ts';
import type {
  ListEntitiesForPolicyCommandInput,
  ListEntitiesForPolicyCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listEntitiesForPolicy(
  input: ListEntitiesForPolicyCommandInput,
  context: IamContext,
): Promise<Output<ListEntitiesForPolicyCommandOutput>> {
  const { id } = await loadPolicy(context, input.PolicyArn);
  const kinds: HolderKind[] = ['groups', 'roles', 'users'];
  const has = ({ attached, boundary }: HolderDocument) =>
    input.PolicyUsageFilter === 'PermissionsBoundary'
      ? boundary?.id === id
      : attached.some((each) => each.id === id);
  const lists = await Promise.all(
    kinds.map(async (kind) =>
      (await listEntities(context, kind, input.PathPrefix)).map((holder) => ({ kind, holder })),
    ),
  );
  const found = lists.flat().filter(({ kind, holder }) => isWanted(kind, input.EntityFilter) && has(holder));
  const { items, more } = pageOf(found, input, ({ kind, holder }) => `${kind}/${holder.name.toLowerCase()}`);
  const of = (wanted: HolderKind) => items.filter(({ kind }) => kind === wanted).map(({ holder }) => holder);
  return {
    PolicyGroups: of('groups').map((group) => ({ GroupName: group.name, GroupId: group.id })),
    PolicyRoles: of('roles').map((role) => ({ RoleName: role.name, RoleId: role.id })),
    PolicyUsers: of('users').map((user) => ({ UserName: user.name, UserId: user.id })),
    ...more,
  };
}

const FILTERS: Record<HolderKind, string> = { groups: 'Group', roles: 'Role', users: 'User' };

const isWanted = (kind: HolderKind, filter: string | undefined) =>
  filter === undefined || filter === FILTERS[kind];
