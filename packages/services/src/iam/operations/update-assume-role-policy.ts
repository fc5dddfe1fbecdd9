import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { checkedTrust } from '../trust-texts.ts';
import type { UpdateAssumeRolePolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function updateAssumeRolePolicy(
  input: UpdateAssumeRolePolicyCommandInput,
  context: IamContext,
): Promise<object> {
  const trust = await checkedTrust(context, input.PolicyDocument);
  await changeEntity(context, 'roles', checkedName('RoleName', input.RoleName, 64), (role) => ({
    ...role,
    ...trust,
  }));
  return {};
}
