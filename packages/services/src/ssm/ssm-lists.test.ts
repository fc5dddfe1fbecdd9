/** Lists: filters, pages, steps and their output, and machines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { failure, SsmBench, stepOf } from '../testing/ssm-bench.ts';

const TWO_STEPS = JSON.stringify({
  schemaVersion: '2.2',
  mainSteps: [
    { action: 'aws:runShellScript', name: 'one', inputs: { runCommand: ['true'] } },
    { action: 'aws:runShellScript', name: 'two', inputs: { runCommand: ['true'] } },
  ],
});

test('commands: the newest first, by pages and filters', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const sent: string[] = [];
  for (let index = 0; index < 5; index++) {
    sent.unshift(await bench.send({ InstanceIds: [bench.ids[index % 3]] }));
    bench.advance(1000);
  }
  const [, , three, , five] = sent;
  await bench.carryOut(bench.instances[0], failure);
  const pages: string[][] = [];
  let NextToken: string | undefined;
  do {
    const page = await bench.call('ListCommands', { MaxResults: 2, NextToken });
    pages.push((page.Commands ?? []).map(({ CommandId }) => must(CommandId)));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  assert.deepEqual(pages, [sent.slice(0, 2), sent.slice(2, 4), sent.slice(4)]);

  const found = async (input: Parameters<typeof bench.call<'ListCommands'>>[1]) => {
    const { Commands = [] } = await bench.call('ListCommands', input);
    return Commands.map(({ CommandId }) => CommandId);
  };
  const failed = await found({ Filters: [{ key: 'Status', value: 'Failed' }] });
  assert.deepEqual(failed, await found({ Filters: [{ key: 'ExecutionStage', value: 'Complete' }] }));
  assert.deepEqual(failed, [sent[1], five]);
  assert.deepEqual(await found({ InstanceId: bench.ids[2] }), [three]);
  assert.deepEqual(await found({ InstanceId: 'i-1' }), []);
  const middle = new Date(bench.clock.wallMs() - 3000).toISOString();
  assert.deepEqual(await found({ Filters: [{ key: 'InvokedAfter', value: middle }] }), sent.slice(0, 3));
  assert.deepEqual(await found({ Filters: [{ key: 'InvokedBefore', value: middle }] }), sent.slice(3));
  assert.deepEqual(await found({ Filters: [{ key: 'DocumentName', value: 'AWS-X' }] }), []);
  assert.deepEqual(await found({ CommandId: '00000000-0000-4000-8000-000000000000' }), []);
  await assert.rejects(found({ CommandId: 'x' }), { name: 'InvalidCommandId' });
  await assert.rejects(found({ MaxResults: 51 }), { code: 'ValidationException' });
  await assert.rejects(found({ NextToken: 'x' }), { name: 'InvalidNextToken' });
  await assert.rejects(found({ Filters: [{ key: 'InvokedAfter', value: 'soon' }] }), {
    code: 'ValidationException',
  });
});

test('another account and another region see none of it', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const CommandId = await bench.send();
  for (const where of [{ region: 'us-east-1' }, { account: '999999999999' }]) {
    assert.deepEqual((await bench.call('ListCommands', {}, where)).Commands, []);
    await assert.rejects(bench.call('CancelCommand', { CommandId }, where), { name: 'InvalidCommandId' });
  }
});

test('invocations: with their steps where these are asked for', async () => {
  using bench = new SsmBench();
  await bench.hello();
  await bench.call('CreateDocument', { Name: 'two-steps', Content: TWO_STEPS });
  const CommandId = await bench.send({ DocumentName: 'two-steps', Parameters: {} });
  const [instance] = bench.instances;
  const [delivery] = await bench.begin(instance);
  const told = {
    stdout: 'out',
    stderr: 'err',
    status: 'Failed',
    statusDetails: 'Failed',
    responseCode: 3,
  } as const;
  await bench.desk.report(delivery, [stepOf('one', { ...told, startedAtMs: 1000, endedAtMs: 2000 })]);
  const list = async (Details: boolean) =>
    (await bench.call('ListCommandInvocations', { CommandId, InstanceId: instance.id, Details }))
      .CommandInvocations;
  assert.deepEqual((await list(false))?.[0].CommandPlugins, []);
  const plugins = must((await list(true))?.[0].CommandPlugins);
  const [one, two] = plugins;
  assert.equal(plugins.length, 2);
  assert.equal(one.Output, 'out\n----------ERROR-------\nerr');
  assert.deepEqual([one.Name, one.Status, one.ResponseCode], ['one', 'Failed', 3]);
  assert.deepEqual(one.ResponseFinishDateTime, new Date(2000));
  assert.deepEqual(
    [two.Name, two.Status, two.ResponseCode, two.ResponseStartDateTime],
    ['two', 'Pending', -1, undefined],
  );

  const where = { CommandId, InstanceId: instance.id };
  const got = await bench.call('GetCommandInvocation', { ...where, PluginName: 'one' });
  assert.deepEqual([got.StandardErrorContent, got.ResponseCode, got.Status], ['err', 3, 'InProgress']);
  await assert.rejects(bench.call('GetCommandInvocation', where), {
    name: 'InvalidPluginName',
    message: /one, two/,
  });
  await assert.rejects(bench.call('GetCommandInvocation', { ...where, PluginName: 'x' }), {
    name: 'InvalidPluginName',
  });
  await assert.rejects(bench.call('GetCommandInvocation', { CommandId, InstanceId: 'i-1' }), {
    name: 'InvocationDoesNotExist',
  });
  const byStatus = async (value: string) => {
    const Filters = [{ key: 'Status' as const, value }];
    return (await bench.call('ListCommandInvocations', { Filters })).CommandInvocations?.length;
  };
  assert.deepEqual([await byStatus('InProgress'), await byStatus('Pending')], [1, 2]);
  await assert.rejects(
    bench.call('ListCommandInvocations', { Filters: [{ key: 'ExecutionStage', value: 'Executing' }] }),
    { name: 'InvalidFilterKey' },
  );
});

test('what was not over at the end has ended as the invocation has', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  await bench.call('CreateDocument', { Name: 'two-steps', Content: TWO_STEPS });
  const CommandId = await bench.send({ DocumentName: 'two-steps', Parameters: {} });
  const [delivery] = await bench.begin(bench.instances[0]);
  await bench.desk.end(delivery, {
    status: 'TimedOut',
    steps: [stepOf('one', { status: 'InProgress', statusDetails: 'InProgress', stdout: 'some' })],
  });
  const { CommandInvocations } = await bench.call('ListCommandInvocations', { CommandId, Details: true });
  const plugins = must(CommandInvocations?.[0].CommandPlugins);
  assert.deepEqual(
    plugins.map(({ Status, StatusDetails, Output }) => [Status, StatusDetails, Output]),
    [
      ['TimedOut', 'ExecutionTimedOut', 'some'],
      ['TimedOut', 'ExecutionTimedOut', ''],
    ],
  );
});

test('machines: those whose agents have registered, and whether these are there', async () => {
  using bench = new SsmBench(undefined, 7);
  const list = async (input: Parameters<typeof bench.call<'DescribeInstanceInformation'>>[1] = {}) => {
    const { InstanceInformationList = [] } = await bench.call('DescribeInstanceInformation', input);
    return InstanceInformationList;
  };
  assert.deepEqual(await list(), []);
  await bench.hello(bench.instances.slice(0, 2));
  const registered = new Date(bench.clock.wallMs());
  bench.advance(60_001);
  await bench.hello(bench.instances.slice(0, 1));
  const [one, two] = await list();
  assert.deepEqual([one.PingStatus, two.PingStatus], ['Online', 'ConnectionLost']);
  assert.deepEqual([one.RegistrationDate, one.PlatformName], [registered, 'Debian GNU/Linux']);
  assert.deepEqual([one.ComputerName, two.LastPingDateTime], ['machine-0.example', registered]);
  const found = async (Key: string, ...Values: string[]) =>
    (await list({ Filters: [{ Key, Values }] })).map(({ InstanceId }) => bench.ids.indexOf(must(InstanceId)));
  assert.deepEqual(await found('PingStatus', 'ConnectionLost'), [1]);
  assert.deepEqual(await found('InstanceIds', bench.ids[0], bench.ids[5]), [0]);
  assert.deepEqual(await found('PlatformTypes', 'Windows'), []);
  assert.deepEqual(await found('tag:team', 'green'), [1]);
  assert.deepEqual(await found('tag-key', 'team'), [0, 1]);
  assert.deepEqual(await found('IamRole', 'x'), []);
  await assert.rejects(found('Colour', 'x'), { name: 'InvalidFilterKey' });
  await assert.rejects(found('PingStatus'), { name: 'InvalidInstanceInformationFilterValue' });
  const older = await list({ InstanceInformationFilterList: [{ key: 'PingStatus', valueSet: ['Online'] }] });
  assert.equal(older.length, 1);
  await bench.hello();
  const page = await bench.call('DescribeInstanceInformation', { MaxResults: 5 });
  assert.equal(page.InstanceInformationList?.length, 5);
  const { NextToken } = page;
  assert.equal((await list({ MaxResults: 5, NextToken })).length, 2);
  await assert.rejects(list({ MaxResults: 4 }), { code: 'ValidationException' });
});
