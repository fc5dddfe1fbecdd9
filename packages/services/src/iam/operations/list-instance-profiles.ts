import { listEntities } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { profileWithRole } from '../instance-profiles.ts';
import { pageOf } from '../pages.ts';
import type {
  ListInstanceProfilesCommandInput,
  ListInstanceProfilesCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws ValidationError */
export async function listInstanceProfiles(
  input: ListInstanceProfilesCommandInput,
  context: IamContext,
): Promise<Output<ListInstanceProfilesCommandOutput>> {
  const profiles = await listEntities(context, 'instance-profiles', input.PathPrefix);
  const { items, more } = pageOf(profiles, input, ({ name }) => name.toLowerCase());
  const shapes = await Promise.all(items.map((profile) => profileWithRole(context, profile)));
  return { InstanceProfiles: shapes, ...more };
}
