import { listEntities } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { roleSummary } from '../iam-shapes.ts';
import { pageOf } from '../pages.ts';
import type { ListRolesCommandInput, ListRolesCommandOutput } from '@aws-sdk/client-iam';

/** @throws ValidationError */
export async function listRoles(
  input: ListRolesCommandInput,
  context: IamContext,
): Promise<Output<ListRolesCommandOutput>> {
  const roles = await listEntities(context, 'roles', input.PathPrefix);
  const { items, more } = pageOf(roles, input, ({ name }) => name.toLowerCase());
  return { Roles: items.map((role) => roleSummary(context.store.account, role)), ...more };
}
