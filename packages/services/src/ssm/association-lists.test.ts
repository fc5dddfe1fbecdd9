/** Associations: what is refused, what is not there, and lists with their filters and pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import {
  type AssociationInput,
  associate,
  carriedOut,
  executions,
  HOURLY,
  openAssociations,
  RED,
} from '../testing/association-bench.ts';
import { failure } from '../testing/ssm-bench.ts';

test('what is refused', async () => {
  using bench = await openAssociations();
  const invalid = { code: 'ValidationException' };
  const [InstanceId] = bench.ids;
  const wrong: Partial<AssociationInput>[] = [
    { Targets: [] },
    { Targets: [{ Key: 'resource-groups:Name', Values: ['x'] }] },
    { InstanceId },
    { AssociationName: 'a b' },
    { ComplianceSeverity: 'WORST' as never },
    { SyncCompliance: 'MANUAL' },
    { ApplyOnlyAtCronInterval: true },
    { ApplyOnlyAtCronInterval: true, ScheduleExpression: HOURLY },
    { MaxConcurrency: '0' },
    { MaxErrors: '101%' },
    { OutputLocation: { S3Location: { OutputS3BucketName: 'bucket' } } },
    { CalendarNames: ['calendar'] },
    { TargetLocations: [{ Regions: ['us-east-1'] }] },
    { TargetMaps: [{ a: ['b'] }] },
    { ScheduleOffset: 3, ScheduleExpression: 'cron(0 0 ? * THU#2 *)' },
    { Duration: 3 },
    { AutomationTargetParameterName: 'x' },
    { AlarmConfiguration: { alarms: [{ name: 'x' }] } as never },
    { Tags: [{ Key: 'a', Value: 'b' }] },
    { AssociationDispatchAssumeRole: 'arn:aws:iam::123456789012:role/x' },
  ];
  for (const more of wrong) await assert.rejects(associate(bench, more), invalid, JSON.stringify(more));
  const schedules = ['rate(1 minute)', 'daily', `cron(${'0'.repeat(300)})`];
  for (const ScheduleExpression of schedules)
    await assert.rejects(associate(bench, { ScheduleExpression }), { name: 'InvalidSchedule' });
  await assert.rejects(associate(bench, { Name: 'mine' }), { name: 'InvalidDocument' });
  await assert.rejects(associate(bench, { DocumentVersion: '2' }), { name: 'InvalidDocumentVersion' });
  await assert.rejects(associate(bench, { Parameters: {} }), { name: 'InvalidParameters' });
  assert.deepEqual((await bench.call('ListAssociations', {})).Associations, []);
  await carriedOut(bench);
  assert.deepEqual((await bench.call('ListCommands', {})).Commands, []);
});

test('one that is not there, or elsewhere', async () => {
  using bench = await openAssociations();
  const id = await associate(bench);
  const gone = { name: 'AssociationDoesNotExist' };
  for (const AssociationId of ['x', '00000000-0000-4000-8000-000000000000']) {
    await assert.rejects(bench.call('DescribeAssociation', { AssociationId }), gone);
    await assert.rejects(bench.call('UpdateAssociation', { AssociationId }), gone);
    await assert.rejects(bench.call('DeleteAssociation', { AssociationId }), gone);
    await assert.rejects(bench.call('StartAssociationsOnce', { AssociationIds: [id, AssociationId] }), gone);
    await assert.rejects(bench.call('DescribeAssociationExecutions', { AssociationId }), gone);
    await assert.rejects(bench.call('ListAssociationVersions', { AssociationId }), gone);
  }
  assert.equal((await executions(bench, id)).length, 1, 'none is asked for beside one that is not there');
  await assert.rejects(
    bench.call('DescribeAssociation', { Name: 'AWS-RunShellScript', InstanceId: bench.ids[0] }),
    { ...gone, message: /give AssociationId/ },
  );
  for (const where of [{ region: 'us-east-1' }, { account: '999999999999' }]) {
    assert.deepEqual((await bench.call('ListAssociations', {}, where)).Associations, []);
    await assert.rejects(bench.call('DeleteAssociation', { AssociationId: id }, where), gone);
  }
  const ExecutionId = '00000000-0000-4000-8000-000000000000';
  await assert.rejects(
    bench.call('DescribeAssociationExecutionTargets', { AssociationId: id, ExecutionId }),
    { name: 'AssociationExecutionDoesNotExist' },
  );
});

test('several at once: those that are wrong keep no other from being there', async () => {
  using bench = await openAssociations();
  const Name = 'AWS-RunShellScript';
  const entry = (line: string) => ({ Name, Parameters: { commands: [line] }, Targets: RED });
  const { Successful = [], Failed = [] } = await bench.call('CreateAssociationBatch', {
    Entries: [entry('a'), { ...entry('b'), Parameters: {} }, entry('c')],
  });
  assert.deepEqual(
    Successful.map(({ Parameters }) => Parameters?.['commands']),
    [['a'], ['c']],
  );
  const [{ Message, Fault, Entry }] = Failed;
  assert.deepEqual([Failed.length, Fault, Entry?.Targets], [1, 'Client', RED]);
  assert.match(Message ?? '', /InvalidParameters.*commands/);
  await assert.rejects(bench.call('CreateAssociationBatch', { Entries: [] }), {
    code: 'ValidationException',
  });
});

test('lists: pages and filters', async () => {
  using bench = await openAssociations();
  const ids = [await associate(bench, { AssociationName: 'one' })];
  bench.advance(1000);
  ids.push(
    await associate(bench, {
      AssociationName: 'two',
      Targets: [{ Key: 'InstanceIds', Values: [bench.ids[1]] }],
    }),
  );
  ids.push(
    await associate(bench, {
      AssociationName: 'three',
      ScheduleExpression: 'cron(0 4 * * ? *)',
      ApplyOnlyAtCronInterval: true,
    }),
  );
  const listed: (string | undefined)[] = [];
  let NextToken: string | undefined;
  do {
    const page = await bench.call('ListAssociations', { MaxResults: 1, NextToken });
    listed.push(...(page.Associations ?? []).map((each) => each.AssociationId));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  assert.deepEqual(listed, [...ids].sort());
  const found = async (key: string, value: string) => {
    const AssociationFilterList = [{ key: key as 'Name', value }];
    const { Associations = [] } = await bench.call('ListAssociations', { AssociationFilterList });
    return Associations.map(({ AssociationName }) => must(AssociationName)).sort();
  };
  assert.deepEqual(await found('AssociationName', 'two'), ['two']);
  assert.deepEqual(await found('AssociationId', ids[0]), ['one']);
  assert.deepEqual(await found('Name', 'AWS-RunShellScript'), ['one', 'three', 'two']);
  assert.deepEqual(await found('InstanceId', bench.ids[1]), ['two']);
  assert.deepEqual(await found('InstanceId', bench.ids[0]), ['one', 'three']);
  assert.deepEqual(await found('AssociationStatusName', 'Success'), []);
  const middle = new Date(bench.clock.wallMs() - 500).toISOString();
  assert.deepEqual(await found('LastExecutedAfter', middle), ['two']);
  assert.deepEqual(await found('LastExecutedBefore', middle), ['one']);
  await assert.rejects(found('ResourceGroupName', 'x'), { code: 'ValidationException' });
  await carriedOut(bench);
  assert.deepEqual(await found('AssociationStatusName', 'Success'), ['one', 'two']);
});

test('executions and their targets: pages and filters', async () => {
  using bench = await openAssociations();
  const AssociationId = await associate(bench);
  await bench.process.keeper.step();
  await bench.carryOut(bench.instances[0]);
  await bench.carryOut(bench.instances[2], failure);
  await bench.process.keeper.step();
  bench.advance(1000);
  await bench.call('StartAssociationsOnce', { AssociationIds: [AssociationId] });
  await carriedOut(bench);
  const list = async (Filters: object[] = []) => {
    const { AssociationExecutions = [] } = await bench.call('DescribeAssociationExecutions', {
      AssociationId,
      Filters: Filters as never,
    });
    return AssociationExecutions.map(({ Status, ExecutionId }) => [Status, ExecutionId] as const);
  };
  const [[, second], [, first]] = await list();
  const statuses = async (filter: object) =>
    (await list([{ Type: 'EQUAL', ...filter }])).map(([status]) => status);
  assert.deepEqual(await statuses({ Key: 'Status', Value: 'Failed' }), ['Failed']);
  assert.deepEqual(await statuses({ Key: 'ExecutionId', Value: second }), ['Success']);
  const middle = new Date(bench.clock.wallMs() - 500).toISOString();
  assert.deepEqual(await statuses({ Key: 'CreatedTime', Value: middle, Type: 'LESS_THAN' }), ['Failed']);
  assert.deepEqual(await statuses({ Key: 'CreatedTime', Value: middle, Type: 'GREATER_THAN' }), ['Success']);
  assert.deepEqual(await statuses({ Key: 'CreatedTime', Value: middle }), []);
  await assert.rejects(statuses({ Key: 'Status', Value: 'x', Type: 'LESS_THAN' }), {
    code: 'ValidationException',
  });
  const page = await bench.call('DescribeAssociationExecutions', { AssociationId, MaxResults: 1 });
  const rest = await bench.call('DescribeAssociationExecutions', {
    AssociationId,
    MaxResults: 1,
    NextToken: page.NextToken,
  });
  assert.deepEqual(
    [page, rest].map(({ AssociationExecutions }) => AssociationExecutions?.[0]?.ExecutionId),
    [second, first],
  );

  const targets = async (Filters: object[] = []) => {
    const { AssociationExecutionTargets = [] } = await bench.call('DescribeAssociationExecutionTargets', {
      AssociationId,
      ExecutionId: must(first),
      Filters: Filters as never,
    });
    return AssociationExecutionTargets;
  };
  const [one, two] = await targets();
  assert.deepEqual([one.ResourceId, two.ResourceId], [bench.ids[0], bench.ids[2]]);
  assert.deepEqual([one.Status, two.Status, two.DetailedStatus], ['Success', 'Failed', 'Failed']);
  assert.deepEqual(one.OutputSource, { OutputSourceId: first, OutputSourceType: 'RunCommand' });
  assert.equal((await bench.call('ListCommands', { CommandId: first })).Commands?.length, 1);
  assert.equal((await targets([{ Key: 'Status', Value: 'Failed' }])).length, 1);
  assert.equal((await targets([{ Key: 'ResourceType', Value: 'ManagedInstance' }])).length, 2);
  assert.equal((await targets([{ Key: 'ResourceId', Value: bench.ids[1] }])).length, 0);
});

test('versions of an association have an end', async () => {
  using bench = await openAssociations();
  const AssociationId = await associate(bench);
  const update = (line: string) =>
    bench.call('UpdateAssociation', { AssociationId, Parameters: { commands: [line] } });
  await assert.rejects(update('x'.repeat(300 * 1024)), { name: 'AssociationVersionLimitExceeded' });
  for (let version = 2; version <= 100; version++) await update(String(version));
  await assert.rejects(update('one more'), { name: 'AssociationVersionLimitExceeded' });
});
