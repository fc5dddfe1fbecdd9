import { BUILT_IN_POLICIES } from '../built-in-policies.ts';
import { listEntities } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { policyArn, policyShape } from '../iam-shapes.ts';
import { pageOf } from '../pages.ts';
import { holdings } from '../policy-holders.ts';
import type { ListPoliciesCommandInput, ListPoliciesCommandOutput } from '@aws-sdk/client-iam';

/** @throws ValidationError */
export async function listPolicies(
  input: ListPoliciesCommandInput,
  context: IamContext,
): Promise<Output<ListPoliciesCommandOutput>> {
  const { Scope = 'All', PathPrefix = '/', OnlyAttached, PolicyUsageFilter } = input;
  const builtIn = Scope === 'Local' ? [] : [...BUILT_IN_POLICIES.values()];
  const local = Scope === 'AWS' ? [] : await listEntities(context, 'policies', PathPrefix);
  const held = await holdings(context);
  const found = [...builtIn.filter(({ path }) => path.startsWith(PathPrefix)), ...local]
    .filter(({ id }) => OnlyAttached !== true || held.attached.has(id))
    .filter(({ id }) => PolicyUsageFilter !== 'PermissionsPolicy' || held.attached.has(id))
    .filter(({ id }) => PolicyUsageFilter !== 'PermissionsBoundary' || held.boundaries.has(id));
  const { account } = context.store;
  const { items, more } = pageOf(found, input, (policy) => policyArn(account, policy).toLowerCase());
  return { Policies: items.map((policy) => policyShape(account, policy, held)), ...more };
}
