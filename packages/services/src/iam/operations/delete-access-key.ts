import { deleteAccessKeyOf } from '../access-keys.ts';
import type { IamContext } from '../iam-context.ts';
import { userNameOr } from '../own-user.ts';
import type { DeleteAccessKeyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function deleteAccessKey(
  input: DeleteAccessKeyCommandInput,
  context: IamContext,
): Promise<object> {
  await deleteAccessKeyOf(context, await userNameOr(context, input.UserName), input.AccessKeyId);
  return {};
}
