/** Associations cut short before and after every write: see testing/cut-short.ts. Each time that is due sends one command, however it goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { cutShort as cutShortOf, type Scenario } from '../testing/cut-short.ts';
import { atEveryCrash, Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { heldRegistry } from '../testing/held-registry.ts';
import { failure, processOver, SsmBench, type SsmProcess, success } from '../testing/ssm-bench.ts';
import type { AssociationRecord } from './association-records.ts';
import type { CommandRecord } from './ssm-records.ts';

const HOUR_MS = 3_600_000;
/** At which the keeper looks at all commands again. */
const SWEEP_MS = 60_000;
const input = {
  Name: 'AWS-RunShellScript',
  Parameters: { commands: ['true'] },
  Targets: [{ Key: 'InstanceIds', Values: ['*'] }],
};

const recordsOf = async <T>(bench: SsmBench, kind: string) =>
  (await bench.registry.list<T>('accounts/'))
    .filter(({ key }) => key.includes(`/ssm/${kind}/`))
    .map(({ value }) => value);

/** Commands are those of runs, and two runs at most have not ended. */
async function checkTruth(bench: SsmBench): Promise<void> {
  const associations = await recordsOf<AssociationRecord>(bench, 'associations');
  const runs = associations.flatMap((each) => each.runs.map(({ id }) => id));
  assert.equal(new Set(runs).size, runs.length);
  for (const { runs: own } of associations) assert.ok(own.filter(({ end }) => !end).length <= 2);
  for (const { id, comment } of await recordsOf<CommandRecord>(bench, 'commands'))
    if (associations.some((each) => each.id === comment)) assert.ok(runs.includes(id), `nobody runs ${id}`);
}

/** @returns at how many points it was cut short */
const cutShort = (scenario: Scenario<SsmBench, SsmProcess>) =>
  cutShortOf(
    {
      open: (registry) => new SsmBench(registry),
      processOver: (bench, registry) => processOver(bench.contextOver(registry, 99)),
      checkTruth,
      checkNothingLeft: carriedOut,
    },
    scenario,
  );

/** Agents and keeper, until nothing goes on. */
async function carriedOut(bench: SsmBench): Promise<void> {
  await bench.hello();
  for (let rounds = 0; rounds < 5; rounds++) {
    bench.advance(SWEEP_MS);
    await bench.process.keeper.step();
    for (const instance of bench.instances) await bench.carryOut(instance);
  }
  await bench.process.keeper.step();
  for (const { runs } of await recordsOf<AssociationRecord>(bench, 'associations'))
    for (const { end } of runs) assert.equal(end?.status, 'Success');
}

const associate = (bench: SsmBench) => bench.call('CreateAssociation', input);
const idOf = async (bench: SsmBench) =>
  must((await bench.call('ListAssociations', {})).Associations?.[0]?.AssociationId);
const commandsOf = async (bench: SsmBench) => (await bench.call('ListCommands', {})).Commands?.length;

test('they are made, updated, asked to run and deleted', async () => {
  const before = async (bench: SsmBench) => {
    await bench.hello();
    await associate(bench);
    await carriedOut(bench);
  };
  const counts = [
    await cutShort({
      before: (bench) => bench.hello(),
      operation: ({ call }) => call('CreateAssociation', input),
      async after(bench) {
        const made = (await bench.call('ListAssociations', {})).Associations?.length;
        assert.ok(made === 1 || made === 2);
        assert.equal(await commandsOf(bench), made);
      },
    }),
    await cutShort({
      before,
      operation: async ({ call }, bench) =>
        call('UpdateAssociation', { AssociationId: await idOf(bench), Parameters: input.Parameters }),
      async after(bench) {
        const { AssociationVersion } = must((await bench.call('ListAssociations', {})).Associations?.[0]);
        assert.equal(await commandsOf(bench), Number(AssociationVersion));
      },
    }),
    await cutShort({
      before,
      operation: async ({ call }, bench) =>
        call('StartAssociationsOnce', { AssociationIds: [await idOf(bench)] }),
      async after(bench) {
        const commands = await commandsOf(bench);
        assert.ok(commands === 2 || commands === 3);
      },
    }),
    await cutShort({
      before,
      operation: async ({ call }, bench) => {
        const [found] = (await bench.call('ListAssociations', {})).Associations ?? [];
        return call('DeleteAssociation', { AssociationId: found?.AssociationId });
      },
      again: /^AssociationDoesNotExist$/,
      after: async (bench) => assert.deepEqual((await bench.call('ListAssociations', {})).Associations, []),
    }),
  ];
  // The scope and the association; its record alone; again; again. Each before and after.
  assert.deepEqual(counts, [4, 2, 2, 2]);
});

test('a keeper that dies at any write leaves it to the next one, and each time has one command', async () => {
  for (const ending of [success, failure]) {
    const crashes = await atEveryCrash(async (at) => {
      const registry = new MemoryRegistry();
      using bench = new SsmBench(registry);
      await bench.hello();
      await bench.call('CreateAssociation', { ...input, ScheduleExpression: 'rate(1 hour)' });
      const failing = new FailingRegistry(registry.another(), at);
      const doomed = processOver(bench.contextOver(failing, 99)).keeper;
      const step = () =>
        doomed.step().catch((error: unknown) => assert.ok(error instanceof Crash, String(error)));
      for (let hour = 0; hour < 2; hour++) {
        for (let rounds = 0; rounds < 4; rounds++) {
          await step();
          for (const instance of bench.instances) await bench.carryOut(instance, ending);
          // A command that is not named among the open ones is found within a minute.
          bench.advance(SWEEP_MS);
          await bench.hello();
          await checkTruth(bench);
          if (failing.crashed) await bench.process.keeper.step();
        }
        if (hour === 0) bench.advance(HOUR_MS - 4 * SWEEP_MS);
        await bench.hello();
      }
      await bench.process.keeper.step();
      const [association] = await recordsOf<AssociationRecord>(bench, 'associations');
      const wanted = ending === success ? 'Success' : 'Failed';
      assert.deepEqual(
        association?.runs.map(({ end }) => end?.status),
        [wanted, wanted],
        JSON.stringify(at),
      );
      assert.equal(await commandsOf(bench), 2);
      const settled = await registry.list('');
      await bench.process.keeper.step();
      assert.deepEqual(await registry.list(''), settled, 'the keeper has nothing more to do');
      return failing.crashed;
    });
    // Each time the command, its name among the open ones, and the end; the second one is taken before.
    assert.equal(crashes, 2 * (3 + 4));
  }
});

test('two keepers at once take a time once, and send one command', async () => {
  for (const key of ['/ssm/associations/', '/ssm/commands/']) {
    using bench = new SsmBench(new MemoryRegistry());
    await bench.hello();
    await bench.call('CreateAssociation', {
      ...input,
      ScheduleExpression: 'cron(0 4 * * ? *)',
      ApplyOnlyAtCronInterval: true,
    });
    bench.advance(24 * HOUR_MS);
    const moment = { on: 'write', key } as const;
    const held = heldRegistry((bench.registry as MemoryRegistry).another(), [
      [moment, () => bench.process.keeper.step()],
    ]);
    await processOver(bench.contextOver(held, 99)).keeper.step();
    await carriedOut(bench);
    assert.equal(await commandsOf(bench), 1, key);
  }
});

test('two updates at once: one is told to try again', async () => {
  using bench = new SsmBench(new MemoryRegistry());
  await bench.hello();
  await associate(bench);
  const AssociationId = await idOf(bench);
  const update = (process: SsmProcess, line: string) =>
    process.call('UpdateAssociation', { AssociationId, Parameters: { commands: [line] } });
  const held = heldRegistry((bench.registry as MemoryRegistry).another(), [
    [{ on: 'write', key: '/ssm/associations/' }, () => update(bench.process, 'first')],
  ]);
  await assert.rejects(update(processOver(bench.contextOver(held, 99)), 'second'), {
    name: 'InvalidAssociationVersion',
  });
  const { AssociationVersions = [] } = await bench.call('ListAssociationVersions', { AssociationId });
  assert.deepEqual(
    AssociationVersions.map(({ Parameters }) => Parameters?.['commands']),
    [['true'], ['first']],
  );
});

test('what was due before an update that came meanwhile is not due of it', async () => {
  using bench = new SsmBench(new MemoryRegistry());
  await bench.hello();
  const timed = { ...input, ScheduleExpression: 'cron(0 4 * * ? *)', ApplyOnlyAtCronInterval: true };
  await bench.call('CreateAssociation', timed);
  const AssociationId = await idOf(bench);
  bench.advance(24 * HOUR_MS);
  const held = heldRegistry((bench.registry as MemoryRegistry).another(), [
    [
      { on: 'write', key: '/ssm/associations/' },
      () => bench.call('UpdateAssociation', { AssociationId, ...timed }),
    ],
  ]);
  await processOver(bench.contextOver(held, 99)).keeper.step();
  await bench.process.keeper.step();
  assert.equal(await commandsOf(bench), 0);
});

test('a command whose run had not ended when it was old is not sent again', async () => {
  using bench = new SsmBench();
  await bench.hello();
  await associate(bench);
  await bench.process.keeper.step();
  for (let rounds = 0; rounds < 3; rounds++)
    for (const instance of bench.instances) await bench.carryOut(instance);
  // All but the end of the run is written, and then nobody is there for a long time.
  const [{ id }] = await recordsOf<CommandRecord>(bench, 'commands');
  const key = (await bench.registry.list('accounts/')).find((each) => each.key.endsWith(`/commands/${id}`));
  const { value, revision } = must(key);
  await bench.registry.put(
    must(key).key,
    { ...(value as object), finishedAtMs: bench.clock.wallMs() },
    revision,
  );
  bench.advance(40 * 24 * HOUR_MS);
  for (let steps = 0; steps < 3; steps++) {
    await bench.process.keeper.step();
    bench.advance(SWEEP_MS);
  }
  const [association] = await recordsOf<AssociationRecord>(bench, 'associations');
  assert.deepEqual(
    association?.runs.map(({ end }) => end?.status),
    ['Success'],
  );
  assert.equal(await commandsOf(bench), 0);
});
