import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { deleteBoundary } from '../policy-holders.ts';
import type { DeleteRolePermissionsBoundaryCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function deleteRolePermissionsBoundary(
  input: DeleteRolePermissionsBoundaryCommandInput,
  context: IamContext,
): Promise<object> {
  await deleteBoundary(context, { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) });
  return {};
}
