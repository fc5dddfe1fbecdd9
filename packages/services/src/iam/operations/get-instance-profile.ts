import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { profileWithRole } from '../instance-profiles.ts';
import type { GetInstanceProfileCommandInput, GetInstanceProfileCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function getInstanceProfile(
  input: GetInstanceProfileCommandInput,
  context: IamContext,
): Promise<Output<GetInstanceProfileCommandOutput>> {
  const name = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  const profile = await loadEntity(context, 'instance-profiles', name);
  return { InstanceProfile: await profileWithRole(context, profile) };
}
