import { deleteEntity, listEntities } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import { checkHoldsNothing } from '../policy-holders.ts';
import type { DeleteRoleCommandInput } from '@aws-sdk/client-iam';

/** Its sessions end with it. @throws NoSuchEntityException, DeleteConflictException, ValidationError */
export async function deleteRole(input: DeleteRoleCommandInput, context: IamContext): Promise<object> {
  const name = checkedName('RoleName', input.RoleName, 64);
  const profiles = await listEntities(context, 'instance-profiles');
  await deleteEntity(context, 'roles', name, (role) => {
    if (profiles.some((profile) => profile.role?.id === role.id))
      throw iamFailures.deleteConflict('must remove roles from instance profile');
    checkHoldsNothing(role);
  });
  return {};
}
