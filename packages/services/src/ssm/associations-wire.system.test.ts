/** Associations by the official client, against a gateway, while agents and the keeper go on by themselves; and what the authorizer is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AssociationDoesNotExist,
  CreateAssociationBatchCommand,
  CreateAssociationCommand,
  DeleteAssociationCommand,
  DescribeAssociationCommand,
  DescribeAssociationExecutionsCommand,
  DescribeAssociationExecutionTargetsCommand,
  InvalidSchedule,
  ListAssociationsCommand,
  ListAssociationVersionsCommand,
  paginateListAssociations,
  SSMClient,
  StartAssociationsOnceCommand,
  UpdateAssociationCommand,
} from '@aws-sdk/client-ssm';
import { must } from '@rokka/kernel';
import { serve } from '../testing/served-service.ts';
import { REGION } from '../testing/service-bench.ts';
import { SsmBench } from '../testing/ssm-bench.ts';
import { until } from '../testing/until.ts';
import { ssmService } from './ssm-service.ts';

const timeout = 600_000;
const INPUT = {
  Name: 'AWS-RunShellScript',
  Parameters: { commands: ['true'] },
  Targets: [{ Key: 'tag:team', Values: ['red'] }],
};
const documentArn = `arn:aws:ssm:${REGION}::document/AWS-RunShellScript`;
const instanceArn = (id: string) => `arn:aws:ec2:${REGION}:123456789012:instance/${id}`;
const associationArn = (id: string) => `arn:aws:ssm:${REGION}:123456789012:association/${id}`;

test('a life of an association, as the SDK sees it', { timeout }, async () => {
  using bench = new SsmBench();
  await bench.hello();
  await using served = await serve(ssmService(bench.context), bench);
  const client = new SSMClient(served.client);
  const create = { ...INPUT, AssociationName: 'nightly', ScheduleExpression: 'cron(0 4 * * ? *)' };
  const { AssociationDescription: made } = await client.send(new CreateAssociationCommand(create));
  const AssociationId = must(made?.AssociationId);
  assert.ok(made?.Date instanceof Date);
  const described = async () =>
    must((await client.send(new DescribeAssociationCommand({ AssociationId }))).AssociationDescription);
  await until(async () => {
    for (const instance of bench.instances) await bench.carryOut(instance);
    return (await described()).Overview?.Status === 'Success';
  });
  const told = await described();
  assert.deepEqual(told.Overview?.AssociationStatusAggregatedCount, { Success: 2 });
  assert.ok(told.LastSuccessfulExecutionDate instanceof Date);

  await client.send(new UpdateAssociationCommand({ AssociationId, ...create, MaxErrors: '1' }));
  await client.send(new StartAssociationsOnceCommand({ AssociationIds: [AssociationId] }));
  const { AssociationVersions } = await client.send(new ListAssociationVersionsCommand({ AssociationId }));
  assert.equal(AssociationVersions?.length, 2);
  const { AssociationExecutions = [] } = await client.send(
    new DescribeAssociationExecutionsCommand({
      AssociationId,
      Filters: [{ Key: 'Status', Value: 'Success', Type: 'EQUAL' }],
    }),
  );
  const ExecutionId = must(AssociationExecutions[0]?.ExecutionId);
  const { AssociationExecutionTargets = [] } = await client.send(
    new DescribeAssociationExecutionTargetsCommand({ AssociationId, ExecutionId }),
  );
  assert.deepEqual(
    AssociationExecutionTargets.map(({ ResourceId, Status }) => [ResourceId, Status]),
    [0, 2].map((at) => [bench.ids[at], 'Success']),
  );
  const { Successful, Failed } = await client.send(
    new CreateAssociationBatchCommand({ Entries: [INPUT, { ...INPUT, Name: 'mine' }] }),
  );
  assert.deepEqual([Successful?.length, Failed?.[0]?.Entry?.Name], [1, 'mine']);
  const listed: unknown[] = [];
  for await (const page of paginateListAssociations({ client, pageSize: 1 }, {}))
    listed.push(...(page.Associations ?? []).map((each) => each.AssociationId));
  assert.deepEqual(listed, [AssociationId, must(Successful?.[0]?.AssociationId)].sort());
  await client.send(new DeleteAssociationCommand({ AssociationId }));
  await assert.rejects(described(), (error: unknown) => {
    assert.ok(error instanceof AssociationDoesNotExist);
    assert.match(error.message, new RegExp(AssociationId));
    return true;
  });
  const often = new CreateAssociationCommand({ ...INPUT, ScheduleExpression: 'rate(5 minutes)' });
  await assert.rejects(client.send(often), (error: unknown) => {
    assert.ok(error instanceof InvalidSchedule);
    assert.match(error.message, /more than once in 30 minutes/);
    return true;
  });
});

test(
  'who makes or changes one must be allowed what it sends; who looks, the association',
  { timeout },
  async () => {
    using bench = new SsmBench();
    await bench.hello();
    await using served = await serve(ssmService(bench.context), bench);
    const client = new SSMClient(served.client);
    const asks = async (work: () => Promise<unknown>) => {
      served.asked.length = 0;
      await work();
      return served.asked.map(({ action, resource }) => [action, resource]);
    };
    let AssociationId = '';
    const sending = [
      ['ssm:SendCommand', documentArn],
      ['ssm:SendCommand', instanceArn(bench.ids[0])],
      ['ssm:SendCommand', instanceArn(bench.ids[2])],
    ];
    const made = await asks(async () => {
      const { AssociationDescription } = await client.send(new CreateAssociationCommand(INPUT));
      AssociationId = must(AssociationDescription?.AssociationId);
    });
    assert.deepEqual(made, [['ssm:CreateAssociation', documentArn], ...sending]);
    assert.equal(served.asked[2].context['ssm:resourceTag/team'], 'red');
    const update = new UpdateAssociationCommand({ AssociationId, Parameters: INPUT.Parameters });
    assert.deepEqual(await asks(() => client.send(update)), [
      ['ssm:UpdateAssociation', associationArn(AssociationId)],
      ['ssm:UpdateAssociation', documentArn],
      ...sending,
    ]);
    const own = { AssociationId };
    const looks = [
      ['DescribeAssociation', new DescribeAssociationCommand(own)],
      ['DescribeAssociationExecutions', new DescribeAssociationExecutionsCommand(own)],
      ['ListAssociationVersions', new ListAssociationVersionsCommand(own)],
      ['StartAssociationsOnce', new StartAssociationsOnceCommand({ AssociationIds: [AssociationId] })],
    ] as const;
    for (const [name, command] of looks)
      assert.deepEqual(await asks(() => client.send(command as DescribeAssociationCommand)), [
        [`ssm:${name}`, associationArn(AssociationId)],
      ]);
    assert.deepEqual(await asks(() => client.send(new ListAssociationsCommand({}))), [
      ['ssm:ListAssociations', '*'],
    ]);
    for (const denied of [documentArn, instanceArn(bench.ids[2])]) {
      served.denied.add(denied);
      for (const command of [new CreateAssociationCommand(INPUT), update])
        await assert.rejects(client.send(command as CreateAssociationCommand), {
          name: 'AccessDeniedException',
        });
      served.denied.delete(denied);
    }
    const { Associations } = await client.send(new ListAssociationsCommand({}));
    assert.deepEqual(
      Associations?.map(({ AssociationVersion }) => AssociationVersion),
      ['2'],
    );
  },
);
