/** Associations from call to call: made, updated, run at their times and when they are asked for, and what is told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, must } from '@rokka/kernel';
import type { StandingRights } from '../iam/standing-rights.ts';
import {
  type AssociationInput,
  associate,
  carriedOut,
  described,
  executions,
  HOUR_MS,
  HOURLY,
  openAssociations,
  RED,
} from '../testing/association-bench.ts';
import { failure, processOver, SsmBench, stepOf } from '../testing/ssm-bench.ts';

test('one without a schedule runs once, when it is made', async () => {
  using bench = await openAssociations();
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
  using bench = await openAssociations();
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
  using bench = await openAssociations();
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
  using bench = await openAssociations();
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
  const { AssociationExecutions } = await bench.call('DescribeAssociationExecutions', { AssociationId: id });
  assert.deepEqual(
    AssociationExecutions?.map(({ LastExecutionDate }) => LastExecutionDate !== undefined),
    [false, true],
  );
  await bench.call('StartAssociationsOnce', { AssociationIds: [id] });
  await bench.call('StartAssociationsOnce', { AssociationIds: [id, id] });
  await bench.process.keeper.step();
  const { Commands } = await bench.call('ListCommands', {});
  assert.equal(Commands?.length, 1);
  assert.equal((await described(bench, id)).Overview?.Status, 'Pending');
  // The one that runs never ends by itself: its agents are gone.
  bench.advance(4 * HOUR_MS);
  for (let steps = 0; steps < 4; steps++) await bench.process.keeper.step();
  await carriedOut(bench);
  const all = await executions(bench, id);
  assert.deepEqual(
    all.filter((each) => !each.startsWith('Skipped')),
    ['Success Success {Success=2}', 'Failed DeliveryTimedOut {TimedOut=2}'],
  );
});

test('what fails is seen: status, date and why; and one machine keeps no other from it', async () => {
  using bench = await openAssociations();
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
  using bench = await openAssociations();
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

test('a machine whose turn comes late has its hour all the same', async () => {
  using bench = await openAssociations(8);
  const Targets = [{ Key: 'InstanceIds', Values: ['*'] }];
  const seconds = async (more: Partial<AssociationInput>) => {
    const Parameters = { commands: ['true'], executionTimeout: ['600'] };
    const id = await associate(bench, { Parameters, Targets, ...more });
    await carriedOut(bench);
    const { Commands = [] } = await bench.call('ListCommands', {});
    return Commands.find(({ Comment }) => Comment === id)?.TimeoutSeconds;
  };
  // One, two, four and one.
  assert.equal(await seconds({}), 3600 + 3 * 600);
  assert.equal(await seconds({ MaxConcurrency: '1' }), 3600 + 7 * 600);
  assert.equal(await seconds({ Targets: [{ Key: 'InstanceIds', Values: [bench.ids[0]] }] }), 3600);
  assert.equal(await seconds({ Targets: [{ Key: 'tag:team', Values: ['blue'] }] }), 3600);
});

test('a document may be named by its ARN', async () => {
  using bench = await openAssociations();
  const Name = 'arn:aws:ssm:eu-north-1::document/AWS-RunShellScript';
  assert.equal((await described(bench, await associate(bench, { Name }))).Name, 'AWS-RunShellScript');
});

test('what its maker may not do any more has failed, and nothing is sent', async () => {
  using bench = await openAssociations();
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

test('where it is not known what may be done, it is tried again', async () => {
  using bench = await openAssociations();
  const id = await associate(bench);
  const rights: StandingRights = {
    ...bench.context.rights,
    firstDenied: () => Promise.reject(new CodedError('REGISTRY_AWAY', 'nobody answers')),
  };
  const { keeper } = processOver({ ...bench.context, rights });
  await assert.rejects(keeper.step(), { code: 'REGISTRY_AWAY' });
  assert.deepEqual(await executions(bench, id), ['Pending Pending {}']);
  await carriedOut(bench);
  assert.deepEqual(await executions(bench, id), ['Success Success {Success=2}']);
});

test('a document that is gone by then has failed', async () => {
  using bench = await openAssociations();
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
  using bench = await openAssociations();
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

test('one that is deleted does not run, and what it has sent goes on', async () => {
  using bench = await openAssociations();
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
