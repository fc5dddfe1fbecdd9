/** Commands from call to call: sending, targets, cancelling, and what comes when nobody does anything. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { failure, SsmBench, stepOf, success } from '../testing/ssm-bench.ts';

const invalid = { code: 'ValidationException' };
const HOUR_MS = 3_600_000;

test('what SendCommand answers', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const { Command } = await bench.call('SendCommand', {
    DocumentName: 'AWS-RunShellScript',
    InstanceIds: bench.ids,
    Parameters: { commands: ['true'] },
    Comment: 'a try',
    MaxErrors: '10%',
  });
  const { CommandId, RequestedDateTime, ExpiresAfter, ...told } = must(Command);
  assert.match(must(CommandId), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(must(ExpiresAfter).getTime() - must(RequestedDateTime).getTime(), 2 * HOUR_MS);
  assert.deepEqual(told, {
    DocumentName: 'AWS-RunShellScript',
    DocumentVersion: '1',
    Comment: 'a try',
    Parameters: { commands: ['true'] },
    InstanceIds: bench.ids,
    Targets: [],
    Status: 'Pending',
    StatusDetails: 'Pending',
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
    MaxConcurrency: '50',
    MaxErrors: '10%',
    TargetCount: 3,
    CompletedCount: 0,
    ErrorCount: 0,
    DeliveryTimedOutCount: 0,
    TimeoutSeconds: 3600,
    ServiceRole: '',
    NotificationConfig: { NotificationArn: '', NotificationEvents: [], NotificationType: undefined },
    CloudWatchOutputConfig: { CloudWatchLogGroupName: '', CloudWatchOutputEnabled: false },
  });
});

test('instances without an agent are unknown where they are named, and left out where they are found', async () => {
  using bench = new SsmBench();
  await assert.rejects(bench.send(), { name: 'InvalidInstanceId' });
  const none = await bench.send({ Targets: [{ Key: 'tag:team', Values: ['red'] }] });
  assert.equal(await bench.state(none), 'Success NoInstancesInTag');
  await bench.hello(bench.instances.slice(0, 1));
  await assert.rejects(bench.send(), { name: 'InvalidInstanceId', message: new RegExp(bench.ids[1]) });
  const some = await bench.send({ Targets: [{ Key: 'tag:team', Values: ['red'] }] });
  assert.deepEqual(await bench.counts(some), { Pending: 1 });
});

test('several keys of targets are and, several values are or', async () => {
  using bench = new SsmBench(undefined, 4);
  await bench.hello();
  const found = async (...targets: [key: string, ...values: string[]][]) => {
    const Targets = targets.map(([Key, ...Values]) => ({ Key, Values }));
    const { CommandInvocations = [] } = await bench.call('ListCommandInvocations', {
      CommandId: await bench.send({ Targets }),
    });
    return CommandInvocations.map(({ InstanceId }) => bench.ids.indexOf(must(InstanceId)));
  };
  const [zero, one, two] = bench.ids;
  assert.deepEqual(await found(['tag:team', 'red']), [0, 2]);
  assert.deepEqual(await found(['tag:team', 'red', 'green']), [0, 1, 2, 3]);
  assert.deepEqual(await found(['tag:team', 'red'], ['InstanceIds', zero, one]), [0]);
  assert.deepEqual(await found(['instanceids', two, 'i-0']), [2]);
  assert.deepEqual(await found(['tag-key', 'team']), [0, 1, 2, 3]);
  assert.deepEqual(await found(['tag-key', 'constructor']), []);
  assert.deepEqual(await found(['tag:constructor', 'x']), []);
});

test('what is refused', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const [id] = bench.ids;
  for (const wrong of [
    { InstanceIds: [], Targets: [] },
    { InstanceIds: [id], Targets: [{ Key: 'tag-key', Values: ['team'] }] },
    { InstanceIds: Array.from({ length: 51 }, () => id) },
    { Targets: [{ Key: 'resource-groups:Name', Values: ['x'] }] },
    { Targets: [{ Key: 'team', Values: ['x'] }] },
    { Targets: [{ Key: 'tag:', Values: ['x'] }] },
    { Targets: [{ Key: 'tag:team', Values: [] }] },
    { TimeoutSeconds: 29 },
    { TimeoutSeconds: 2_592_001 },
    { Comment: 'x'.repeat(101) },
    { MaxConcurrency: '0' },
    { MaxConcurrency: '0%' },
    { MaxErrors: '101%' },
    { OutputS3BucketName: 'bucket' },
    { ServiceRoleArn: 'arn:aws:iam::123456789012:role/x' },
    { NotificationConfig: { NotificationEvents: ['All' as const] } },
    { CloudWatchOutputConfig: { CloudWatchOutputEnabled: true } },
    { AlarmConfiguration: { Alarms: [{ Name: 'x' }] } },
    { DocumentHash: 'x', DocumentHashType: 'Sha1' as const },
  ])
    await assert.rejects(bench.send(wrong), invalid, JSON.stringify(wrong));
  await assert.rejects(bench.send({ InstanceIds: [id, id] }), { name: 'DuplicateInstanceId' });
  await assert.rejects(bench.send({ DocumentName: 'mine' }), { name: 'InvalidDocument' });
  await assert.rejects(bench.send({ DocumentName: 'a/../b' }), { name: 'InvalidDocument' });
  await assert.rejects(bench.send({ DocumentVersion: '2' }), { name: 'InvalidDocumentVersion' });
  await assert.rejects(bench.send({ DocumentHash: 'x' }), { name: 'InvalidDocument' });
  await assert.rejects(bench.send({ Parameters: {} }), { name: 'InvalidParameters' });
  const { Commands } = await bench.call('ListCommands', {});
  assert.deepEqual(Commands, []);
  // What asks for nothing is no request.
  await bench.send({ CloudWatchOutputConfig: { CloudWatchOutputEnabled: false }, OutputS3KeyPrefix: '' });
});

test('by hash, version and ARN', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const { Document } = await bench.call('DescribeDocument', { Name: 'AWS-RunShellScript' });
  await bench.send({
    DocumentName: 'arn:aws:ssm:eu-north-1::document/AWS-RunShellScript',
    DocumentHash: must(Document?.Hash),
    DocumentVersion: '$LATEST',
  });
  const elsewhere = 'arn:aws:ssm:us-east-1::document/AWS-RunShellScript';
  await assert.rejects(bench.send({ DocumentName: elsewhere }), { name: 'InvalidDocument' });
});

test('cancelling: what has not begun never does, and agents are told of the rest', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const CommandId = await bench.send();
  const [one] = bench.instances;
  const [running] = await bench.begin(one);
  const waiting = await bench.desk.deliveries(bench.instances[1].machineKey);
  await bench.call('CancelCommand', { CommandId });
  assert.equal(await bench.state(CommandId), 'Cancelling Cancelling');
  assert.deepEqual(await bench.counts(CommandId), { Cancelling: 1, Cancelled: 2 });
  assert.equal(await bench.desk.isCancelled(running), true);
  for (const delivery of waiting) assert.equal(await bench.desk.begin(delivery), false);
  await bench.desk.end(running, { status: 'Cancelled', steps: [] });
  assert.equal(await bench.state(CommandId), 'Cancelled Cancelled');
  await bench.call('CancelCommand', { CommandId });
  assert.deepEqual(await bench.counts(CommandId), { Cancelled: 3 });
});

test('cancelling on some machines', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const CommandId = await bench.send();
  const [, two, three] = bench.instances;
  await bench.call('CancelCommand', { CommandId, InstanceIds: [two.id] });
  assert.deepEqual(await bench.counts(CommandId), { Pending: 2, Cancelled: 1 });
  assert.equal(await bench.carryOut(two), 0);
  await bench.carryOut(three);
  await bench.carryOut(bench.instances[0]);
  assert.equal(await bench.state(CommandId), 'Failed Incomplete');
  await assert.rejects(bench.call('CancelCommand', { CommandId, InstanceIds: ['i-1'] }), {
    name: 'InvalidInstanceId',
  });
  await assert.rejects(bench.call('CancelCommand', { CommandId: 'x' }), { name: 'InvalidCommandId' });
});

test('an agent that ends well all the same has ended well', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const CommandId = await bench.send();
  const [running] = await bench.begin(bench.instances[0]);
  await bench.call('CancelCommand', { CommandId });
  await bench.desk.end(running, success);
  assert.equal(await bench.state(CommandId), 'Success Success');
});

test('what nobody picks up in time has timed out, and never begins', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const CommandId = await bench.send({ TimeoutSeconds: 30 });
  const [delivery] = await bench.desk.deliveries('machine-0');
  bench.advance(30_000);
  assert.equal(await bench.desk.begin(delivery), false);
  assert.deepEqual(await bench.desk.deliveries('machine-0'), []);
  assert.equal(await bench.state(CommandId), 'Pending Pending');
  await bench.process.keeper.step();
  assert.equal(await bench.state(CommandId), 'TimedOut DeliveryTimedOut');
  const { Commands } = await bench.call('ListCommands', { CommandId });
  assert.equal(must(Commands?.[0]).DeliveryTimedOutCount, 3);
  await bench.call('CancelCommand', { CommandId });
  assert.deepEqual(await bench.counts(CommandId), { DeliveryTimedOut: 3 });
});

test('an agent that falls silent has its time for delivery and for execution, and a little for its last word', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const CommandId = await bench.send({
    TimeoutSeconds: 30,
    Parameters: { commands: ['true'], executionTimeout: ['60'] },
  });
  const [running] = await bench.begin(bench.instances[0]);
  bench.advance(119_000);
  await bench.process.keeper.step();
  assert.equal(await bench.state(CommandId), 'InProgress InProgress');
  bench.advance(1000);
  await bench.process.keeper.step();
  assert.equal(await bench.state(CommandId), 'TimedOut DeliveryTimedOut');
  assert.equal(await bench.desk.end(running, success), false);
  assert.equal(await bench.state(CommandId), 'TimedOut DeliveryTimedOut');
});

test('time-outs and failures that an agent tells', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const [instance] = bench.instances;
  const ended = async (
    ...[ending]: Parameters<typeof bench.desk.end> extends [unknown, infer E] ? [E] : never
  ) => {
    const id = await bench.send();
    await bench.carryOut(instance, ending);
    return bench.state(id);
  };
  const steps = [stepOf('runShellScript')];
  assert.equal(await ended({ status: 'TimedOut', steps }), 'TimedOut ExecutionTimedOut');
  assert.equal(await ended({ status: 'Failed', details: 'InvalidPlatform', steps }), 'Failed Failed');
  assert.equal(await ended({ status: 'Failed', details: 'AccessDenied', steps }), 'Failed AccessDenied');
  assert.equal(await ended(failure), 'Failed Failed');
});

test('commands are kept for 30 days', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const old = await bench.send();
  for (const instance of bench.instances) await bench.carryOut(instance);
  await bench.process.keeper.step();
  bench.advance(30 * 24 * HOUR_MS - 1);
  const young = await bench.send();
  await bench.process.keeper.step();
  assert.equal(await bench.state(old), 'Success Success');
  bench.advance(60_000);
  await bench.process.keeper.step();
  bench.advance(60_000);
  await bench.process.keeper.step();
  const { Commands = [] } = await bench.call('ListCommands', {});
  assert.deepEqual(
    Commands.map(({ CommandId }) => CommandId),
    [young],
  );
  const left = (await bench.registry.list('')).filter(({ key }) => key.includes(old));
  assert.deepEqual(left, []);
});
