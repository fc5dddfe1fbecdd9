/** Every operation of Data Lifecycle Manager, by the name that callers use. */
import type * as dlm from '@aws-sdk/client-dlm';
import type { Operations } from '@rokka/gateway';
import { type DlmContext, dlmServicesOf } from './dlm-context.ts';
import { createLifecyclePolicy } from './operations/create-lifecycle-policy.ts';
import { deleteLifecyclePolicy } from './operations/delete-lifecycle-policy.ts';
import { getLifecyclePolicies } from './operations/get-lifecycle-policies.ts';
import { getLifecyclePolicy } from './operations/get-lifecycle-policy.ts';
import { listTagsForResource } from './operations/list-tags-for-resource.ts';
import { tagResource } from './operations/tag-resource.ts';
import { untagResource } from './operations/untag-resource.ts';
import { updateLifecyclePolicy } from './operations/update-lifecycle-policy.ts';

/** The table for `defineService`. */
export function dlmOperations(context: DlmContext) {
  const services = dlmServicesOf(context);
  return {
    CreateLifecyclePolicy: createLifecyclePolicy(services),
    DeleteLifecyclePolicy: deleteLifecyclePolicy(services),
    GetLifecyclePolicies: getLifecyclePolicies(services),
    GetLifecyclePolicy: getLifecyclePolicy(services),
    ListTagsForResource: listTagsForResource(services),
    TagResource: tagResource(services),
    UntagResource: untagResource(services),
    UpdateLifecyclePolicy: updateLifecyclePolicy(services),
  } satisfies Operations<typeof dlm>;
}
