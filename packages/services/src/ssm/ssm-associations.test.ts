/** Associations from call to call: made, updated, run at their times and when they are asked for, and what is told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CreateAssociationCommand } from '@aws-sdk/client-ssm';
import type { InputOf } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { failure, SsmBench, stepOf, success } from '../testing/ssm-bench.ts';

type Input = InputOf<typeof CreateAssociationCommand>;

const HOUR_MS = 3_600_000;
const RED = [{ Key: 'tag:team', Values: ['red'] }];
/** Whether it is at night on the bench's clock is of no matter: it is hourly. */
const HOURLY = 'rate(1 hour)';

async function open(machines = 3): Promise<SsmBench> {
  const bench = new SsmBench(undefined, machines);
  await bench.hello();
  return bench;
}

async function associate(bench: SsmBench, input: Partial<Input> = {}): Promise<string> {
  const { AssociationDescription } = await bench.call('CreateAssociation', {
    Name: 'AWS-RunShellScript',
    Parameters: { commands: ['true'] },
    Targets: RED,
    ...input,
  });
  return must(AssociationDescription?.AssociationId);
}

/** Agents and keeper, until nothing goes on. */
async function carriedOut(bench: SsmBench, ending = success): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds++) {
    await bench.process.keeper.step();
    for (const instance of bench.instances) await bench.carryOut(instance, ending);
  }
  await bench.process.keeper.step();
}

async function described(bench: SsmBench, AssociationId: string) {
  const { AssociationDescription } = await bench.call('DescribeAssociation', { AssociationId });
  return must(AssociationDescription);
}

/** `Success Success {Success=2}`, the newest first. */
async function executions(bench: SsmBench, AssociationId: string): Promise<string[]> {
  const { AssociationExecutions = [] } = await bench.call('DescribeAssociationExecutions', { AssociationId });
  return AssociationExecutions.map(
    ({ Status, DetailedStatus, ResourceCountByStatus }) =>
      `${Status} ${DetailedStatus} ${ResourceCountByStatus}`,
  );
}

test('one without a schedule runs once, when it is made', async () => {
  using bench = await open();
  const id = await associate(bench, { AssociationName: 'a-try', ComplianceSeverity: 'HIGH' });
  const { Date: made, LastUpdateAssociationDate, LastExecutionDate, ...told } = await described(bench, id);
  assert.deepEqual(
    [made, LastUpdateAssociationDate, LastExecutionDate].map(String),
    Array(3).fill(String(made)),
  );
  assert.deepEqual(told, {
    AssociationId: id,
    AssociationName: 'a-try',
    AssociationVersion: '1',
    Name: 'AWS-RunShellScript',
    DocumentVersion: '$DEFAULT',
    Parameters: { commands: ['true'] },
    Targets: RED,
    ComplianceSeverity: 'HIGH',
    SyncCompliance: 'AUTO',
    ApplyOnlyAtCronInterval: false,
    Overview: { Status: 'Pending', DetailedStatus: 'Pending', AssociationStatusAggregatedCount: {} },
  });
  await bench.process.keeper.step();
  const { Commands } = await bench.call('ListCommands', {});
  const [command] = must(Commands);
  assert.equal(command.Comment, id);
  assert.deepEqual(await bench.counts(must(command.CommandId)), { Pending: 2 });
  assert.deepEqual(await executions(bench, id), ['Pending Pending {Pending=2}']);
  bench.advance(1000);
  await carriedOut(bench);
  const after = await described(bench, id);
  assert.deepEqual(after.Overview, {
    Status: 'Success',
    DetailedStatus: 'Success',
    AssociationStatusAggregatedCount: { Success: 2 },
  });
  assert.deepEqual([after.LastExecutionDate, after.LastSuccessfulExecutionDate], [made, made]);
  bench.advance(400 * 24 * HOUR_MS);
  await carriedOut(bench);
  assert.deepEqual(await executions(bench, id), ['Success Success {Success=2}']);
});

test('at each time once; of several that passed while nobody was there one run is made', async () => {
  using bench = await open();
  const id = await associate(bench, { ScheduleExpression: HOURLY });
  await carriedOut(bench);
  bench.advance(HOUR_MS - 1);
  await carriedOut(bench);
  assert.equal((await executions(bench, id)).length, 1);
  bench.advance(1);
  await carriedOut(bench);
  assert.equal((await executions(bench, id)).length, 2);
  bench.advance(10.5 * HOUR_MS);
  // Another process begins.
  await bench.hello();
  await carriedOut(bench);
  assert.equal((await executions(bench, id)).length, 3);
  bench.advance(0.5 * HOUR_MS);
  await carriedOut(bench);
  assert.equal((await executions(bench, id)).length, 4);
});

test('with ApplyOnlyAtCronInterval not before its time', async () => {
  using bench = await open();
  const id = await associate(bench, {
    ScheduleExpression: 'cron(0 4 * * ? *)',
    ApplyOnlyAtCronInterval: true,
  });
  await carriedOut(bench);
  const { Overview, LastExecutionDate } = await described(bench, id);
  assert.deepEqual([Overview?.Status, Overview?.DetailedStatus], ['Pending', 'Creating']);
  assert.equal(LastExecutionDate, undefined);
  assert.deepEqual(await executions(bench, id), []);
  bench.advance(24 * HOUR_MS);
  await bench.hello();
  await carriedOut(bench);
  assert.deepEqual(await executions(bench, id), ['Success Success {Success=2}']);
});

test('while one runs a time that is due is skipped, and what is asked for waits', async () => {
  using bench = await open();
  const id = await associate(bench, { ScheduleExpression: 'rate(30 minutes)' });
  await bench.process.keeper.step();
  for (const instance of bench.instances) await bench.begin(instance);
  bench.advance(HOUR_MS / 2);
  await bench.hello();
  await bench.process.keeper.step();
  assert.deepEqual(await executions(bench, id), [
    'Skipped Skipped {}',
    'InProgress InProgress {InProgress=1, Pending=1}',
  ]);
  await bench.call('StartAssociationsOnce', { AssociationIds: [id] });
  await bench.call('StartAssociationsOnce', { AssociationIds: [id, id] });
  await bench.process.keeper.step();
  const { Commands } = await bench.call('ListCommands', {});
  assert.equal(Commands?.length, 1);
  assert.equal((await described(bench, id)).Overview?.Status, 'Pending');
  // The one that runs never ends by itself: its agents are gone.
  bench.advance(2 * HOUR_MS);
  for (let steps = 0; steps < 4; steps++) await bench.process.keeper.step();
  await carriedOut(bench);
  const all = await executions(bench, id);
  assert.deepEqual(
    all.filter((each) => !each.startsWith('Skipped')),
    ['Success Success {Success=2}', 'Failed DeliveryTimedOut {TimedOut=2}'],
  );
});

test('what fails is seen: status, date and why; and one machine keeps no other from it', async () => {
  using bench = await open();
  const id = await associate(bench, { ScheduleExpression: HOURLY });
  await carriedOut(bench);
  bench.advance(HOUR_MS);
  const at = new Date(bench.clock.wallMs());
  await carriedOut(bench, {
    ...failure,
    steps: [stepOf('runShellScript', { status: 'Failed', stderr: 'not everything starts clean' })],
  });
  const { Overview, Status, LastExecutionDate, LastSuccessfulExecutionDate } = await described(bench, id);
  assert.deepEqual(Overview, {
    Status: 'Failed',
    DetailedStatus: 'Failed',
    AssociationStatusAggregatedCount: { Failed: 2 },
  });
  assert.equal(Status?.Name, 'Failed');
  assert.match(Status?.Message ?? '', /not everything starts clean/);
  assert.deepEqual(LastExecutionDate, at);
  assert.equal(at.getTime() - must(LastSuccessfulExecutionDate).getTime(), HOUR_MS);
  const failed = await bench.call('ListAssociations', {
    AssociationFilterList: [{ key: 'AssociationStatusName', value: 'Failed' }],
  });
  assert.deepEqual(
    failed.Associations?.map((each) => [each.AssociationId, each.Overview?.Status]),
    [[id, 'Failed']],
  );
});

test('where there is no machine it has failed', async () => {
  using bench = new SsmBench();
  const id = await associate(bench);
  await carriedOut(bench);
  assert.deepEqual(await executions(bench, id), ['Failed NoInstancesInTag {}']);
});

test('targets are found anew for each run; a star is all of them', async () => {
  using bench = await open();
  const everywhere = [{ Key: 'InstanceIds', Values: ['*'] }];
  const id = await associate(bench, { Targets: everywhere, ScheduleExpression: HOURLY });
  await carriedOut(bench);
  bench.instances.push({ id: 'i-0000000000000000f', machineKey: 'machine-9', tags: {} });
  bench.advance(HOUR_MS);
  await bench.hello();
  await carriedOut(bench);
  assert.deepEqual(await executions(bench, id), [
    'Success Success {Success=4}',
    'Success Success {Success=3}',
  ]);
});

test('what its maker may not do any more has failed, and nothing is sent', async () => {
  using bench = await open();
  const id = await associate(bench, { ScheduleExpression: HOURLY });
  await carriedOut(bench);
  bench.denied.add(`arn:aws:ec2:eu-north-1:123456789012:instance/${bench.ids[2]}`);
  bench.advance(HOUR_MS);
  await carriedOut(bench);
  assert.equal((await executions(bench, id))[0], 'Failed AccessDenied {}');
  const { Status } = await described(bench, id);
  assert.match(Status?.Message ?? '', /user\/ann.*is not allowed ssm:SendCommand on .*instance/);
  assert.equal((await bench.call('ListCommands', {})).Commands?.length, 1);
  bench.denied.clear();
  bench.advance(HOUR_MS);
  await carriedOut(bench);
  assert.equal((await executions(bench, id))[0], 'Success Success {Success=2}');
});

test('a document that is gone by then has failed', async () => {
  using bench = await open();
  const Content = JSON.stringify({
    schemaVersion: '2.2',
    mainSteps: [{ action: 'aws:runShellScript', name: 'a', inputs: { runCommand: ['true'] } }],
  });
  await bench.call('CreateDocument', { Name: 'mine', Content });
  const id = await associate(bench, { Name: 'mine', Parameters: {} });
  await bench.call('DeleteDocument', { Name: 'mine' });
  await carriedOut(bench);
  assert.deepEqual(await executions(bench, id), ['Failed InvalidDocument {}']);
});

test('an update is another version, runs at once, and takes away what it leaves out', async () => {
  using bench = await open();
  const id = await associate(bench, { AssociationName: 'first', ScheduleExpression: HOURLY, MaxErrors: '1' });
  await carriedOut(bench);
  bench.advance(HOUR_MS / 2);
  const update = (more: object) => bench.call('UpdateAssociation', { AssociationId: id, ...more });
  const Parameters = { commands: ['uptime'] };
  const { AssociationDescription: told } = await update({ Parameters, AssociationVersion: '1' });
  assert.deepEqual(
    [
      told?.AssociationVersion,
      told?.AssociationName,
      told?.ScheduleExpression,
      told?.MaxErrors,
      told?.Targets,
    ],
    ['2', undefined, undefined, undefined, RED],
  );
  await carriedOut(bench);
  assert.equal((await executions(bench, id)).length, 2);
  const { Commands } = await bench.call('ListCommands', {});
  assert.deepEqual(Commands?.[0]?.Parameters, Parameters);
  await assert.rejects(update({ Parameters, AssociationVersion: '1' }), {
    name: 'InvalidAssociationVersion',
  });
  await assert.rejects(update({ Parameters, AssociationVersion: '9' }), {
    name: 'InvalidAssociationVersion',
  });
  const { AssociationVersions } = await bench.call('ListAssociationVersions', { AssociationId: id });
  assert.deepEqual(
    AssociationVersions?.map(({ AssociationVersion, AssociationName }) => [
      AssociationVersion,
      AssociationName,
    ]),
    [
      ['1', 'first'],
      ['2', undefined],
    ],
  );
  const first = await bench.call('DescribeAssociation', { AssociationId: id, AssociationVersion: '1' });
  assert.equal(first.AssociationDescription?.ScheduleExpression, HOURLY);
  await assert.rejects(bench.call('DescribeAssociation', { AssociationId: id, AssociationVersion: '3' }), {
    name: 'InvalidAssociationVersion',
  });
});

test('what is refused', async () => {
  using bench = await open();
  const invalid = { code: 'ValidationException' };
  const [InstanceId] = bench.ids;
  const wrong: Partial<Input>[] = [
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
  using bench = await open();
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
  await assert.rejects(
    bench.call('DescribeAssociation', { Name: 'AWS-RunShellScript', InstanceId: bench.ids[0] }),
    gone,
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

test('one that is deleted does not run, and what it has sent goes on', async () => {
  using bench = await open();
  const [sent, unsent] = [await associate(bench), await associate(bench)];
  await bench.process.keeper.step();
  const late = await associate(bench);
  for (const AssociationId of [sent, unsent, late]) await bench.call('DeleteAssociation', { AssociationId });
  await carriedOut(bench);
  const { Commands = [] } = await bench.call('ListCommands', {});
  assert.deepEqual(
    Commands.map(({ Status, Comment }) => `${Status} ${Comment}`).sort(),
    [`Success ${sent}`, `Success ${unsent}`].sort(),
  );
});

test('several at once: those that are wrong keep no other from being there', async () => {
  using bench = await open();
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
  using bench = await open();
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
  using bench = await open();
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
  using bench = await open();
  const AssociationId = await associate(bench);
  const update = (line: string) =>
    bench.call('UpdateAssociation', { AssociationId, Parameters: { commands: [line] } });
  await assert.rejects(update('x'.repeat(300 * 1024)), { name: 'AssociationVersionLimitExceeded' });
  for (let version = 2; version <= 100; version++) await update(String(version));
  await assert.rejects(update('one more'), { name: 'AssociationVersionLimitExceeded' });
});
