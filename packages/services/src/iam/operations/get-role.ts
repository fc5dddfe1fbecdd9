import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { roleShape } from '../iam-shapes.ts';
import type { GetRoleCommandInput, GetRoleCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function getRole(
  input: GetRoleCommandInput,
  context: IamContext,
): Promise<Output<GetRoleCommandOutput>> {
  const role = await loadEntity(context, 'roles', checkedName('RoleName', input.RoleName, 64));
  return { Role: roleShape(context.store.account, role) };
}
