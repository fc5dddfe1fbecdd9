import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { accessKeyShape } from '../iam-shapes.ts';
import { userNameOr } from '../own-user.ts';
import { pageOf } from '../pages.ts';
import type { ListAccessKeysCommandInput, ListAccessKeysCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listAccessKeys(
  input: ListAccessKeysCommandInput,
  context: IamContext,
): Promise<Output<ListAccessKeysCommandOutput>> {
  const user = await loadEntity(context, 'users', await userNameOr(context, input.UserName));
  const { items, more } = pageOf(user.accessKeys, input, ({ id }) => id);
  return { AccessKeyMetadata: items.map((key) => accessKeyShape(user, key)), ...more };
}
