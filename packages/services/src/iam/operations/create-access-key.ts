import { makeAccessKey } from '../access-keys.ts';
import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { userNameOr } from '../own-user.ts';
import type { CreateAccessKeyCommandInput, CreateAccessKeyCommandOutput } from '@aws-sdk/client-iam';

/** The only answer that ever shows the secret. @throws NoSuchEntityException, LimitExceededException */
export async function createAccessKey(
  input: CreateAccessKeyCommandInput,
  context: IamContext,
): Promise<Output<CreateAccessKeyCommandOutput>> {
  const user = await loadEntity(context, 'users', await userNameOr(context, input.UserName));
  const key = await makeAccessKey(context, user.name);
  return {
    AccessKey: {
      UserName: user.name,
      AccessKeyId: key.id,
      Status: 'Active',
      SecretAccessKey: key.secret,
      CreateDate: new Date(key.createdAtMs),
    },
  };
}
