import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { userShape } from '../iam-shapes.ts';
import { userNameOr } from '../own-user.ts';
import type { GetUserCommandInput, GetUserCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function getUser(
  input: GetUserCommandInput,
  context: IamContext,
): Promise<Output<GetUserCommandOutput>> {
  const user = await loadEntity(context, 'users', await userNameOr(context, input.UserName));
  return { User: userShape(context.store.account, user) };
}
