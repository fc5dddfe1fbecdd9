/** Two do something at the same moment: one is held up just before it writes, and the other does as it likes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deferred } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { associate, executions } from '../testing/association-bench.ts';
import { heldRegistry, type Moment } from '../testing/held-registry.ts';
import { failure, processOver, SsmBench, stepOf, success } from '../testing/ssm-bench.ts';

const COMMAND: Moment = { on: 'write', key: '/ssm/commands/' };
const INVOCATION: Moment = { on: 'write', key: '/ssm/invocations/' };

/** A process that is held up there while the other does its part. */
function held(bench: SsmBench, registry: MemoryRegistry, moment: Moment, other: () => Promise<unknown>) {
  return processOver(bench.contextOver(heldRegistry(registry, [[moment, other]]), 99));
}

async function open(machines = 2) {
  const registry = new MemoryRegistry();
  const bench = new SsmBench(registry, machines);
  await bench.hello();
  return { registry, bench, id: await bench.send({ TimeoutSeconds: 30 }) };
}

test('what is cancelled just before it begins does not begin', async () => {
  const { registry, bench: made, id } = await open();
  using bench = made;
  const { desk } = held(bench, registry, COMMAND, () => bench.call('CancelCommand', { CommandId: id }));
  const [delivery] = await desk.deliveries('machine-0');
  assert.equal(await desk.begin(delivery), false);
  assert.equal(await bench.state(id), 'Cancelled Cancelled');
});

test('what begins just before it is cancelled is told so', async () => {
  const { registry, bench: made, id } = await open();
  using bench = made;
  const { call } = held(bench, registry, COMMAND, () => bench.begin(bench.instances[0]));
  await call('CancelCommand', { CommandId: id });
  assert.deepEqual(await bench.counts(id), { Cancelling: 1, Cancelled: 1 });
});

test('what begins just before it would have timed out goes on', async () => {
  const { registry, bench: made, id } = await open();
  using bench = made;
  const [reached, resumed] = [new Deferred<void>(), new Deferred<void>()];
  const early = held(bench, registry, COMMAND, () => {
    reached.resolve();
    return resumed.promise;
  });
  const [delivery] = await early.desk.deliveries('machine-0');
  const beginning = early.desk.begin(delivery);
  await reached.promise;
  bench.advance(30_000);
  const { keeper } = held(bench, registry, COMMAND, async () => {
    resumed.resolve();
    assert.equal(await beginning, true);
  });
  await keeper.step();
  assert.deepEqual(await bench.counts(id), { InProgress: 1, DeliveryTimedOut: 1 });
});

test('what times out just before it begins does not begin', async () => {
  const { registry, bench: made, id } = await open();
  using bench = made;
  const { desk } = held(bench, registry, COMMAND, async () => {
    bench.advance(30_000);
    await bench.process.keeper.step();
  });
  const [delivery] = await desk.deliveries('machine-0');
  assert.equal(await desk.begin(delivery), false);
  assert.equal(await bench.state(id), 'TimedOut DeliveryTimedOut');
});

test('a failure just before another one begins: that one does not', async () => {
  const { registry, bench: made, id } = await open(3);
  using bench = made;
  const [one, two] = bench.instances;
  await bench.carryOut(one);
  const [failing] = await bench.begin(two);
  const { desk } = held(bench, registry, COMMAND, () => bench.desk.end(failing, failure));
  const [delivery] = await desk.deliveries('machine-2');
  assert.equal(await desk.begin(delivery), false);
  assert.deepEqual(await bench.counts(id), { Success: 1, Failed: 1, Terminated: 1 });
});

test('two that begin at once where one may: one does', async () => {
  const { registry, bench: made, id } = await open();
  using bench = made;
  const { desk } = held(bench, registry, COMMAND, () => bench.begin(bench.instances[1]));
  const [delivery] = await desk.deliveries('machine-0');
  assert.equal(await desk.begin(delivery), false);
  assert.deepEqual(await bench.counts(id), { InProgress: 1, Pending: 1 });
});

test('a last word just before the keeper gives up counts, and one after it does not', async () => {
  for (const isEarly of [true, false]) {
    const { registry, bench: made, id } = await open(1);
    using bench = made;
    const [delivery] = await bench.begin(bench.instances[0]);
    bench.advance(30_000 + 3_600_000 + 30_000);
    const end = () => bench.desk.end(delivery, success);
    const { keeper, desk } = held(bench, registry, INVOCATION, () =>
      isEarly ? end() : bench.process.keeper.step(),
    );
    if (isEarly) await keeper.step();
    else assert.equal(await desk.end(delivery, success), false);
    assert.equal(await bench.state(id), isEarly ? 'Success Success' : 'TimedOut DeliveryTimedOut');
  }
});

test('a report that comes after the end changes nothing', async () => {
  const { registry, bench: made, id: CommandId } = await open(1);
  using bench = made;
  const [delivery] = await bench.begin(bench.instances[0]);
  const { desk } = held(bench, registry, INVOCATION, () =>
    bench.desk.end(delivery, { status: 'Success', steps: [stepOf('runShellScript', { stdout: 'all' })] }),
  );
  await desk.report(delivery, [stepOf('runShellScript', { stdout: 'some' })]);
  const where = { CommandId, InstanceId: bench.ids[0] };
  assert.equal((await bench.call('GetCommandInvocation', where)).StandardOutputContent, 'all');
  assert.equal(await bench.state(CommandId), 'Success Success');
});

test('a run that another one has sent is not ended by who may not send it any more', async () => {
  const registry = new MemoryRegistry();
  using bench = new SsmBench(registry);
  await bench.hello();
  const id = await associate(bench);
  // It has seen that nothing is sent yet, and is to look who is there.
  const { keeper } = held(bench, registry, { on: 'list', key: 'ssm/agents/' }, async () => {
    await bench.process.keeper.step();
    bench.denied.add(`arn:aws:ec2:eu-north-1:123456789012:instance/${bench.ids[0]}`);
  });
  await keeper.step();
  for (const instance of bench.instances) await bench.carryOut(instance);
  await bench.process.keeper.step();
  assert.deepEqual(await executions(bench, id), ['Success Success {Success=2}']);
});
