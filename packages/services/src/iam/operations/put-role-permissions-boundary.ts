import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { putBoundary } from '../policy-holders.ts';
import type { PutRolePermissionsBoundaryCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function putRolePermissionsBoundary(
  input: PutRolePermissionsBoundaryCommandInput,
  context: IamContext,
): Promise<object> {
  await putBoundary(
    context,
    { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) },
    input.PermissionsBoundary,
  );
  return {};
}
