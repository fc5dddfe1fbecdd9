import { deleteEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { policyNameOf } from '../managed-policies.ts';
import { holdings } from '../policy-holders.ts';
import type { DeletePolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, DeleteConflictException, InvalidInputException */
export async function deletePolicy(input: DeletePolicyCommandInput, context: IamContext): Promise<object> {
  const name = policyNameOf(context, input.PolicyArn);
  const { attached, boundaries } = await holdings(context);
  await deleteEntity(context, 'policies', name, ({ id, versions }) => {
    if (attached.has(id) || boundaries.has(id))
      throw iamFailures.deleteConflict('must detach the policy from all entities');
    if (versions.length > 1) throw iamFailures.deleteConflict('must delete all versions but the default one');
  });
  return {};
}
