/** Commands on many machines, carried out by agents through the desk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { failure, SsmBench, stepOf, success } from '../testing/ssm-bench.ts';

test('rounds on 50 machines: 1, 2, 4, 8, 16, and what is left', async () => {
  using bench = new SsmBench(undefined, 50);
  await bench.hello();
  const id = await bench.send();
  assert.equal(await bench.state(id), 'Pending Pending');
  const rounds: number[] = [];
  while ((await bench.state(id)) !== 'Success Success') {
    const begun = (await Promise.all(bench.instances.map((instance) => bench.begin(instance)))).flat();
    assert.ok(begun.length > 0);
    assert.equal(await bench.state(id), 'InProgress InProgress');
    rounds.push(begun.length);
    for (const delivery of begun) assert.ok(await bench.desk.end(delivery, success));
  }
  assert.deepEqual(rounds, [1, 2, 4, 8, 16, 19]);
  const { Commands } = await bench.call('ListCommands', { CommandId: id });
  const { TargetCount, CompletedCount, ErrorCount } = must(Commands?.[0]);
  assert.deepEqual([TargetCount, CompletedCount, ErrorCount], [50, 50, 0]);
});

test('MaxConcurrency is never passed, whoever asks at once', async () => {
  using bench = new SsmBench(undefined, 50);
  await bench.hello();
  const id = await bench.send({ MaxConcurrency: '10%' });
  let most = 0;
  while ((await bench.state(id)) !== 'Success Success') {
    const begun = (await Promise.all(bench.instances.map((instance) => bench.begin(instance)))).flat();
    most = Math.max(most, begun.length);
    for (const delivery of begun) await bench.desk.end(delivery, success);
  }
  assert.equal(most, 5);
});

test('10 % of 50 may fail: after the sixth failure none begins, and the rest is terminated', async () => {
  using bench = new SsmBench(undefined, 50);
  await bench.hello();
  const id = await bench.send({ MaxErrors: '10%', MaxConcurrency: '1' });
  let begun = 0;
  for (const instance of bench.instances) begun += await bench.carryOut(instance, failure);
  assert.equal(begun, 6);
  assert.equal(await bench.state(id), 'Failed Failed');
  assert.deepEqual(await bench.counts(id), { Failed: 6, Terminated: 44 });
  const { Commands } = await bench.call('ListCommands', { CommandId: id });
  const { CompletedCount, ErrorCount } = must(Commands?.[0]);
  assert.deepEqual([CompletedCount, ErrorCount], [50, 6]);
});

test('as many failures as may be are no failure of the command', async () => {
  using bench = new SsmBench(undefined, 50);
  await bench.hello();
  const id = await bench.send({ MaxErrors: '10%', MaxConcurrency: '1' });
  for (const [index, instance] of bench.instances.entries())
    assert.equal(await bench.carryOut(instance, index < 5 ? failure : success), 1);
  assert.equal(await bench.state(id), 'Failed Incomplete');
  assert.deepEqual(await bench.counts(id), { Failed: 5, Success: 45 });
});

test('those that run when there are too many errors go on to their end', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const id = await bench.send();
  const [one, two, three] = bench.instances;
  await bench.carryOut(one);
  const [failing] = await bench.begin(two);
  const [running] = await bench.begin(three);
  await bench.desk.end(failing, failure);
  assert.equal(await bench.state(id), 'InProgress InProgress');
  assert.equal(await bench.desk.isCancelled(running), false);
  await bench.desk.end(running, success);
  assert.deepEqual(await bench.counts(id), { Success: 2, Failed: 1 });
  assert.equal(await bench.state(id), 'Failed Failed');
});

test('an invocation begins once, and ends once', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const id = await bench.send();
  const [first] = await bench.desk.deliveries('machine-0');
  const [again] = await bench.desk.deliveries('machine-0');
  assert.deepEqual(await Promise.all([bench.desk.begin(first), bench.desk.begin(again)]), [true, false]);
  // After a crash it is found again.
  const [found, ...more] = await bench.desk.deliveries('machine-0');
  assert.equal(more.length, 0);
  assert.equal(found.begunAtMs, bench.clock.wallMs());
  await bench.desk.report(found, [stepOf('runShellScript', { status: 'InProgress', responseCode: -1 })]);
  const [reported] = await bench.desk.deliveries('machine-0');
  assert.deepEqual(
    reported.steps.map(({ status }) => status),
    ['InProgress'],
  );
  assert.equal(await bench.desk.end(found, success), true);
  assert.equal(await bench.desk.end(found, failure), false);
  await bench.desk.report(found, [stepOf('runShellScript', { status: 'Failed' })]);
  assert.deepEqual(await bench.desk.deliveries('machine-0'), []);
  assert.equal(await bench.desk.begin(found), false);
  assert.equal(await bench.state(id), 'Success Success');
  const { ResponseCode } = await bench.call('GetCommandInvocation', {
    CommandId: id,
    InstanceId: bench.ids[0],
  });
  assert.equal(ResponseCode, -1);
});

test('what has not begun is not ended by an agent', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const id = await bench.send();
  const [delivery] = await bench.desk.deliveries('machine-0');
  assert.equal(await bench.desk.end(delivery, success), false);
  await bench.desk.report(delivery, [stepOf('runShellScript')]);
  assert.equal(await bench.state(id), 'Pending Pending');
  assert.equal(await bench.carryOut(bench.instances[0]), 1);
});

test('a delivery has the document with the values in their places', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  await bench.send({
    Parameters: { commands: ['echo {{ workingDirectory }}', 'true'], executionTimeout: ['60'] },
    TimeoutSeconds: 30,
  });
  const [delivery] = await bench.desk.deliveries('machine-0');
  assert.deepEqual(delivery.document.steps[0].inputs, {
    // What a value says is not looked through.
    runCommand: ['echo {{ workingDirectory }}', 'true'],
    workingDirectory: '',
    timeoutSeconds: '60',
  });
  assert.deepEqual(delivery.document.parameters['workingDirectory'], ['']);
  assert.equal(delivery.executionSeconds, 60);
  assert.equal(delivery.expiresAtMs, bench.clock.wallMs() + 90_000);
});

test('the first 24,000 and 8,000 characters of what a step prints are kept', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const CommandId = await bench.send();
  const [delivery] = await bench.begin(bench.instances[0]);
  const stdout = `${'a'.repeat(23_999)}😀${'b'.repeat(10)}`;
  const steps = [
    stepOf('runShellScript', { stdout, stderr: 'e'.repeat(9000), startedAtMs: 0, endedAtMs: 1500 }),
  ];
  await bench.desk.end(delivery, { status: 'Success', steps });
  const found = await bench.call('GetCommandInvocation', { CommandId, InstanceId: bench.ids[0] });
  assert.equal(found.StandardOutputContent, 'a'.repeat(23_999));
  assert.equal(found.StandardErrorContent?.length, 8000);
  assert.equal(found.ExecutionElapsedTime, 'PT1.5S');
  assert.equal(found.ExecutionStartDateTime, '1970-01-01T00:00:00.000Z');
});

test('a machine that is not there stands in nobody’s way', async () => {
  using bench = new SsmBench();
  await bench.hello();
  const id = await bench.send({ MaxConcurrency: '1' });
  const [, two, three] = bench.instances;
  assert.equal(await bench.carryOut(three), 1);
  assert.equal(await bench.carryOut(two), 1);
  assert.equal(await bench.state(id), 'InProgress InProgress');
  bench.advance(61_000);
  assert.deepEqual(await bench.counts(id), { Success: 2, Delayed: 1 });
  bench.advance(3_600_000);
  await bench.process.keeper.step();
  assert.deepEqual(await bench.counts(id), { Success: 2, DeliveryTimedOut: 1 });
  assert.equal(await bench.state(id), 'Failed Incomplete');
});

test('commands of several accounts and regions reach the machine, the older first', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const sent = {
    DocumentName: 'AWS-RunShellScript',
    InstanceIds: bench.ids,
    Parameters: { commands: ['true'] },
  };
  await bench.call('SendCommand', sent, { region: 'us-east-1' });
  bench.advance(1000);
  await bench.call('SendCommand', sent, { account: '999999999999' });
  const deliveries = await bench.desk.deliveries('machine-0');
  assert.deepEqual(
    deliveries.map(({ scope }) => [scope.account, scope.region]),
    [
      ['123456789012', 'us-east-1'],
      ['999999999999', 'eu-north-1'],
    ],
  );
  assert.deepEqual(await bench.desk.deliveries('machine-1'), []);
});
