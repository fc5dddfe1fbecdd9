import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { putBoundary } from '../policy-holders.ts';
import type { PutUserPermissionsBoundaryCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function putUserPermissionsBoundary(
  input: PutUserPermissionsBoundaryCommandInput,
  context: IamContext,
): Promise<object> {
  await putBoundary(
    context,
    { kind: 'users', name: checkedName('UserName', input.UserName, 64) },
    input.PermissionsBoundary,
  );
  return {};
}
