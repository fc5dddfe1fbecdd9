/**
 * The keeper cut short before and after every write that it makes in two nights. Another one goes on: each night has one set, the old one goes, and
 * nothing else is left.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schedule } from '@aws-sdk/client-dlm';
import { MemoryRegistry } from '@rokka/registry';
import { DlmBench, dlmProcessOver, scripted } from '../testing/dlm-bench.ts';
import { atEveryCrash, Crash, type CrashAt, FailingRegistry } from '../testing/failing-registry.ts';

interface Scenario {
  readonly schedule?: Schedule;
  readonly agent?: DlmBench['agent'];
  readonly volumes?: true;
}

/** @returns at how many points it was cut short */
const cutShort = (scenario: Scenario) => atEveryCrash((at) => crashAt(at, scenario));

async function crashAt(at: CrashAt, { schedule, agent = 'good', volumes }: Scenario): Promise<boolean> {
  const registry = new MemoryRegistry();
  using bench = new DlmBench(registry);
  if (volumes) await bench.tag(await bench.volume());
  else await bench.machine();
  await bench.actAsAgent();
  const id = await bench.policy(
    { RetainRule: { Count: 1 }, ...schedule },
    { ResourceTypes: [volumes ? 'VOLUME' : 'INSTANCE'] },
  );
  bench.agent = agent;
  const failing = new FailingRegistry(registry.another(), at);
  const doomed = dlmProcessOver(bench.dlmContext(failing, 99)).keeper;
  for (const night of [0, 1]) {
    bench.advanceTo(night);
    await bench.round({
      step: () => doomed.step().catch((error: unknown) => assert.ok(error instanceof Crash, String(error))),
    });
    // A command that is not named among the open ones is found within a minute.
    await bench.minutes(2);
  }
  const sets = (await bench.sets()).map((text) => text.replace(/T\S*/, ''));
  assert.deepEqual(sets, [bench.setOf(1).replace(/T\S*/, '')], JSON.stringify(at));
  const { Snapshots } = await bench.call('DescribeSnapshots', {});
  assert.equal(Snapshots?.length, volumes ? 1 : 2);
  const { State, StatusMessage = '' } = await bench.shown(id);
  assert.equal(State, 'ENABLED');
  assert.match(StatusMessage, agent === 'good' ? /^$/ : /not consistent for applications/);
  const settled = await registry.list('');
  await bench.dlm.keeper.step();
  assert.deepEqual(await registry.list(''), settled, 'the keeper has nothing more to do');
  return failing.crashed;
}

test('snapshots of a machine', async () => {
  // Taken, the set and its two points, ended; and in the second night two that go, each with its point.
  assert.equal(await cutShort({}), 2 * (5 + 5 + 4));
});

test('a snapshot of a volume', async () => {
  assert.equal(await cutShort({ volumes: true }), 2 * (4 + 4 + 2));
});

test('with a script, whether it goes well or not', async () => {
  const CreateRule = scripted({ MaximumRetryCount: 1 });
  const schedule = { CreateRule };
  for (const agent of ['good', 'late', 'bad'] as const) {
    const crashes = await cutShort({ schedule, agent });
    assert.ok(crashes > 20, `${agent}: ${crashes}`);
  }
});
