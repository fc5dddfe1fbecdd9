/** Each operation, agent and keeper cut short at each write: see testing/cut-short.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { cutShort as cutShortOf, type Scenario } from '../testing/cut-short.ts';
import { atEveryCrash, Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { failure, processOver, SsmBench, type SsmProcess, stepOf, success } from '../testing/ssm-bench.ts';
import type { CommandRecord, InvocationRecord, OpenCommand } from './ssm-records.ts';

/** At which the keeper looks at all commands again. */
const SWEEP_MS = 60_000;
const sent = { DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['true'] } };

/** What each of the records says of the others. */
async function checkTruth(bench: SsmBench): Promise<void> {
  const entries = await bench.registry.list<unknown>('accounts/');
  const valuesOf = <T>(kind: string) =>
    entries.filter(({ key }) => key.includes(`/ssm/${kind}/`)).map(({ value }) => value as T);
  const commands = new Map(valuesOf<CommandRecord>('commands').map((each) => [each.id, each]));
  for (const { command, instance } of valuesOf<InvocationRecord>('invocations')) {
    // Those of one that was old are dropped after it.
    const begun = commands.get(command)?.begun;
    assert.ok(!begun || Object.hasOwn(begun, instance), `${instance} said something and has not begun`);
  }
}

/** A sweep later, whatever is not finished is named among the open ones, and nothing else is. */
async function checkNothingLeft(bench: SsmBench): Promise<void> {
  bench.advance(SWEEP_MS);
  await bench.process.keeper.step();
  const commands = (await bench.registry.list<CommandRecord>('accounts/')).filter(({ key }) =>
    key.includes('/ssm/commands/'),
  );
  const unfinished = commands.filter(({ value }) => value.finishedAtMs === undefined);
  const open = await bench.registry.list<OpenCommand>('ssm/open/');
  assert.deepEqual(
    open.map(({ value }) => value.id),
    unfinished.map(({ value }) => value.id).sort(),
  );
}

/** @returns at how many points it was cut short */
const cutShort = (scenario: Scenario<SsmBench, SsmProcess>) =>
  cutShortOf(
    {
      open: (registry) => new SsmBench(registry),
      processOver: (bench, registry) => processOver(bench.contextOver(registry, 99)),
      checkTruth,
      checkNothingLeft,
    },
    scenario,
  );

async function firstCommand(bench: SsmBench): Promise<string> {
  const { Commands } = await bench.call('ListCommands', {});
  return must(Commands?.at(-1)?.CommandId);
}

async function carriedOut(bench: SsmBench): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds++)
    for (const instance of bench.instances) await bench.carryOut(instance);
}

test('SendCommand: what is there is carried out, whether anybody was told of it or not', async () => {
  const crashes = await cutShort({
    before: (bench) => bench.hello(),
    operation: ({ call }, bench) => call('SendCommand', { ...sent, InstanceIds: bench.ids }),
    async after(bench) {
      await carriedOut(bench);
      const { Commands = [] } = await bench.call('ListCommands', {});
      assert.ok(Commands.length === 1 || Commands.length === 2);
      for (const { Status } of Commands) assert.equal(Status, 'Success');
      await bench.process.keeper.step();
      assert.deepEqual(await bench.registry.list('ssm/open/'), []);
    },
  });
  // The scope, the command, its name among the open ones; each before and after.
  assert.equal(crashes, 6);
});

test('CancelCommand', async () => {
  const crashes = await cutShort({
    async before(bench) {
      await bench.hello();
      await bench.send();
    },
    operation: async ({ call }, bench) => call('CancelCommand', { CommandId: await firstCommand(bench) }),
    async after(bench) {
      await carriedOut(bench);
      assert.equal(await bench.state(await firstCommand(bench)), 'Cancelled Cancelled');
    },
  });
  assert.equal(crashes, 2);
});

test('documents: made, updated and deleted', async () => {
  const Content = (line: string) =>
    JSON.stringify({
      schemaVersion: '2.2',
      mainSteps: [{ action: 'aws:runShellScript', name: 'a', inputs: { runCommand: [line] } }],
    });
  const Name = 'mine';
  const create = (bench: SsmBench) => bench.call('CreateDocument', { Name, Content: Content('1') });
  const counts = [
    await cutShort({
      operation: ({ call }) => call('CreateDocument', { Name, Content: Content('1') }),
      again: /^DocumentAlreadyExists$/,
      after: async (bench) => assert.ok((await bench.call('GetDocument', { Name })).Content),
    }),
    await cutShort({
      before: create,
      operation: ({ call }) => call('UpdateDocument', { Name, Content: Content('2') }),
      again: /^DuplicateDocumentContent$/,
      async after(bench) {
        const { DocumentVersions } = await bench.call('ListDocumentVersions', { Name });
        assert.equal(DocumentVersions?.length, 2);
      },
    }),
    await cutShort({
      before: create,
      operation: ({ call }) => call('DeleteDocument', { Name }),
      again: /^InvalidDocument$/,
      after: (bench) => assert.rejects(bench.call('GetDocument', { Name }), { name: 'InvalidDocument' }),
    }),
  ];
  assert.deepEqual(counts, [4, 2, 2]);
});

test('an agent that dies at any write goes on, and nothing is carried out twice', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const registry = new MemoryRegistry();
    using bench = new SsmBench(registry, 2);
    await bench.hello();
    const id = await bench.send();
    const failing = new FailingRegistry(registry.another(), at);
    const [one, two] = bench.instances;
    const dying = processOver(bench.contextOver(failing, 99)).desk;
    /** As one machine's agent does it: what had begun before is not begun again. */
    const run = async (desk: typeof dying, machineKey: string) => {
      for (const delivery of await desk.deliveries(machineKey)) {
        if (delivery.begunAtMs === undefined && !(await desk.begin(delivery))) continue;
        await desk.report(delivery, [stepOf('runShellScript', { status: 'InProgress' })]);
        await desk.end(delivery, { status: 'Success', steps: [stepOf('runShellScript')] });
      }
    };
    await run(dying, one.machineKey).catch((error: unknown) =>
      assert.ok(error instanceof Crash, String(error)),
    );
    await checkTruth(bench);
    await run(bench.desk, one.machineKey);
    await run(bench.desk, two.machineKey);
    assert.deepEqual(await bench.desk.deliveries(one.machineKey), []);
    await bench.process.keeper.step();
    assert.equal(await bench.state(id), 'Success Success');
    await checkNothingLeft(bench);
    return failing.crashed;
  });
  // It begins, reports and ends; each before and after.
  assert.equal(crashes, 6);
});

test('a keeper that dies at any write leaves it to the next one', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const registry = new MemoryRegistry();
    using bench = new SsmBench(registry);
    await bench.hello();
    const lost = await bench.send();
    await bench.carryOut(bench.instances[0]);
    await bench.begin(bench.instances[1]);
    const failed = await bench.send({ InstanceIds: bench.ids.slice(0, 2) });
    const [delivery] = (await bench.desk.deliveries('machine-0')).filter((each) => each.command === failed);
    assert.ok(await bench.desk.begin(delivery));
    await bench.desk.end(delivery, failure);
    const old = await bench.send();
    await bench.call('CancelCommand', { CommandId: old });
    bench.advance(31 * 24 * 3_600_000);
    const failing = new FailingRegistry(registry.another(), at);
    const { keeper } = processOver(bench.contextOver(failing, 99));
    const crash = (error: unknown) => assert.ok(error instanceof Crash, String(error));
    await keeper.step().catch(crash);
    if (!failing.crashed) bench.advance(SWEEP_MS);
    if (!failing.crashed) await keeper.step().catch(crash);
    await checkTruth(bench);
    for (let turn = 0; turn < 3; turn++) {
      bench.advance(SWEEP_MS);
      await bench.process.keeper.step();
    }
    // All of them have ended, and are older than 30 days.
    for (const id of [lost, failed, old])
      assert.deepEqual(
        (await registry.list('')).filter(({ key }) => key.includes(id)),
        [],
      );
    return failing.crashed;
  });
  // Closed, ended, finished and no more open; finished and no more open; three commands and three invocations dropped.
  assert.equal(crashes, 24);
});

test('an agent that was asleep while everything came to its end changes nothing', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const id = await bench.send();
  const [delivery] = await bench.desk.deliveries('machine-0');
  assert.ok(await bench.desk.begin(delivery));
  bench.advance(31 * 24 * 3_600_000);
  for (let turn = 0; turn < 3; turn++) {
    await bench.process.keeper.step();
    bench.advance(SWEEP_MS);
  }
  assert.equal(await bench.desk.isCancelled(delivery), true);
  await bench.desk.report(delivery, [stepOf('runShellScript')]);
  assert.equal(await bench.desk.end(delivery, success), false);
  assert.equal(await bench.desk.begin(delivery), false);
  assert.deepEqual(
    (await bench.registry.list('')).filter(({ key }) => key.includes(id)),
    [],
  );
});
