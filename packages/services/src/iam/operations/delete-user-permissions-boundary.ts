import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { deleteBoundary } from '../policy-holders.ts';
import type { DeleteUserPermissionsBoundaryCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function deleteUserPermissionsBoundary(
  input: DeleteUserPermissionsBoundaryCommandInput,
  context: IamContext,
): Promise<object> {
  await deleteBoundary(context, { kind: 'users', name: checkedName('UserName', input.UserName, 64) });
  return {};
}
