import type { GetCallerIdentityCommandInput, GetCallerIdentityCommandOutput } from '@aws-sdk/client-sts';
import type { IamContext, Output } from '../iam/iam-context.ts';

export async function getCallerIdentity(
  _input: GetCallerIdentityCommandInput,
  { credential: { principal } }: IamContext,
): Promise<Output<GetCallerIdentityCommandOutput>> {
  return { UserId: principal.userId, Account: principal.account, Arn: principal.arn };
}
