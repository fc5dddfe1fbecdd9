/** The official client against a gateway: paths, members, errors, and what the authorizer is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CreateLifecyclePolicyCommand,
  DeleteLifecyclePolicyCommand,
  DLMClient,
  GetLifecyclePoliciesCommand,
  GetLifecyclePolicyCommand,
  InvalidRequestException,
  ListTagsForResourceCommand,
  ResourceNotFoundException,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateLifecyclePolicyCommand,
} from '@aws-sdk/client-dlm';
import { must } from '@rokka/kernel';
import { detailsOf, DlmBench, policyArn, scripted } from '../testing/dlm-bench.ts';
import { serve } from '../testing/served-service.ts';
import { dlmService } from './dlm-service.ts';

const timeout = 600_000;

test('a life of a policy, as the SDK sees it', { timeout }, async () => {
  using bench = new DlmBench();
  await using served = await serve(dlmService(bench.dlmContext()), bench);
  const client = new DLMClient(served.client);
  const ExecutionRoleArn = await bench.role();
  const asked = async (work: Promise<unknown>) => {
    served.asked.length = 0;
    await work;
    return served.asked.map(({ action, resource }) => `${action} ${resource}`);
  };
  const input = {
    ExecutionRoleArn,
    Description: 'nightly',
    State: 'ENABLED',
    PolicyDetails: detailsOf({ CreateRule: scripted() }),
    Tags: { team: 'red' },
  } as const;
  const { PolicyId = '' } = await client.send(new CreateLifecyclePolicyCommand(input));
  const ResourceArn = policyArn(PolicyId);
  const { Policy } = await client.send(new GetLifecyclePolicyCommand({ PolicyId }));
  assert.ok(must(Policy).DateCreated instanceof Date);
  assert.deepEqual(
    [Policy?.PolicyArn, Policy?.State, Policy?.Tags],
    [ResourceArn, 'ENABLED', { team: 'red' }],
  );
  const list = { State: 'ENABLED', ResourceTypes: ['INSTANCE'], TargetTags: ['backup=yes'] } as const;
  const query = { ...list, ResourceTypes: [...list.ResourceTypes], TargetTags: [...list.TargetTags] };
  const { Policies = [] } = await client.send(new GetLifecyclePoliciesCommand(query));
  assert.deepEqual(
    Policies.map((each) => each.PolicyId),
    [PolicyId],
  );
  assert.deepEqual(
    (await client.send(new GetLifecyclePoliciesCommand({ TargetTags: ['backup=no'] }))).Policies,
    [],
  );
  await client.send(new TagResourceCommand({ ResourceArn, Tags: { x: 'y' } }));
  const untag = new UntagResourceCommand({ ResourceArn, TagKeys: ['team'] });
  assert.deepEqual(await asked(client.send(untag)), [`dlm:UntagResource ${ResourceArn}`]);
  assert.equal(served.asked[0].context['aws:ResourceTag/team'], 'red');
  const { Tags } = await client.send(new ListTagsForResourceCommand({ ResourceArn }));
  assert.deepEqual(Tags, { x: 'y' });
  const update = new UpdateLifecyclePolicyCommand({ PolicyId, ExecutionRoleArn, State: 'DISABLED' });
  assert.deepEqual(await asked(client.send(update)), [
    `dlm:UpdateLifecyclePolicy ${ResourceArn}`,
    `iam:PassRole ${ExecutionRoleArn}`,
  ]);
  served.denied.add(ExecutionRoleArn);
  await assert.rejects(client.send(new CreateLifecyclePolicyCommand(input)), {
    name: 'AccessDeniedException',
  });
  served.denied.clear();
  const wrong = new UpdateLifecyclePolicyCommand({ PolicyId, PolicyDetails: detailsOf({ RetainRule: {} }) });
  await assert.rejects(client.send(wrong), (error: unknown) => error instanceof InvalidRequestException);
  await client.send(new DeleteLifecyclePolicyCommand({ PolicyId }));
  const gone = client.send(new GetLifecyclePolicyCommand({ PolicyId }));
  await assert.rejects(
    gone,
    (error: unknown) => error instanceof ResourceNotFoundException && error.ResourceIds?.[0] === PolicyId,
  );
  assert.deepEqual(served.log, []);
});
