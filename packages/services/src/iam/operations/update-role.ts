import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedDescription, checkedName } from '../iam-names.ts';
import { checkedSessionSeconds } from '../role-sessions.ts';
import type { UpdateRoleCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function updateRole(input: UpdateRoleCommandInput, context: IamContext): Promise<object> {
  const { Description: description, MaxSessionDuration: seconds } = input;
  const changes = {
    ...(description !== undefined && { description: checkedDescription(description) }),
    ...(seconds !== undefined && { maxSessionSeconds: checkedSessionSeconds(seconds) }),
  };
  await changeEntity(context, 'roles', checkedName('RoleName', input.RoleName, 64), (role) => ({
    ...role,
    ...changes,
  }));
  return {};
}
