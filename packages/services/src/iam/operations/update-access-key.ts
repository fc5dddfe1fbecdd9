import { activateAccessKey } from '../access-keys.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { userNameOr } from '../own-user.ts';
import type { UpdateAccessKeyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function updateAccessKey(
  input: UpdateAccessKeyCommandInput,
  context: IamContext,
): Promise<object> {
  const { AccessKeyId: id, Status: status } = input;
  if (status !== 'Active' && status !== 'Inactive')
    throw iamFailures.validation(`Status ${JSON.stringify(status)} must be Active or Inactive`);
  await activateAccessKey(context, await userNameOr(context, input.UserName), {
    id,
    active: status === 'Active',
  });
  return {};
}
