/**
 * Random histories: machines that carry out, fail, die and come back, somebody who sends and cancels, a keeper now and then. Whatever
 * happens, limits hold, what has ended stays so, and in the end all has ended.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { SsmBench, stepOf } from '../testing/ssm-bench.ts';
import type { Delivery, Ending } from './command-desk.ts';
import { isEnd, type InvocationDetails } from './invocation-status.ts';
import { concurrencyMax, errorsMax } from './rate-control.ts';

const HISTORIES = 20;
const STEPS = 120;
const MACHINES = 8;
const ENDINGS: readonly Ending[] = [
  { status: 'Success', steps: [] },
  { status: 'Success', steps: [stepOf('runShellScript')] },
  { status: 'Failed', steps: [] },
  { status: 'Failed', details: 'InvalidPlatform', steps: [] },
  { status: 'TimedOut', steps: [] },
  { status: 'Cancelled', steps: [] },
];
const RATES = ['1', '2', '5', '50', '25%', '100%'];

interface Sent {
  readonly id: string;
  readonly running: number;
  readonly errors: number;
  /** How each has ended, as it was first told. */
  readonly ends: Map<string, InvocationDetails>;
}

class History {
  readonly bench = new SsmBench(undefined, MACHINES);
  readonly #random: SeededRandom;
  readonly #sent: Sent[] = [];
  /** What agents hold: one that dies forgets it. */
  readonly #held: Delivery[] = [];

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  async run(): Promise<void> {
    await this.bench.hello();
    const steps = [
      () => this.#send(),
      () => this.#begin(),
      () => this.#begin(),
      () => this.#begin(),
      () => this.#end(),
      () => this.#end(),
      () => this.#end(),
      () => this.#cancel(),
      async () => this.bench.advance(this.#random.below(20_000)),
      () => this.bench.process.keeper.step(),
    ];
    for (let step = 0; step < STEPS; step++) {
      await this.#random.pick(steps)();
      await this.#check();
    }
    this.bench.advance(24 * 3_600_000);
    await this.bench.process.keeper.step();
    await this.#check();
    assert.deepEqual(await this.bench.registry.list('ssm/open/'), []);
    for (const { ends } of this.#sent) assert.equal(ends.size, MACHINES, 'all has ended');
  }

  async #send(): Promise<void> {
    const MaxConcurrency = this.#random.pick(RATES);
    const MaxErrors = this.#random.pick(['0', '1', '25%']);
    const id = await this.bench.send({ MaxConcurrency, MaxErrors, TimeoutSeconds: 60 });
    const running = concurrencyMax(MaxConcurrency, MACHINES);
    this.#sent.push({ id, running, errors: errorsMax(MaxErrors, MACHINES), ends: new Map() });
  }

  /** Some agents begin at once. Some of what they begin they forget at once, and find again. */
  async #begin(): Promise<void> {
    const { desk, instances } = this.bench;
    const those = instances.filter(() => this.#random.chance(0.5));
    const begun = await Promise.all(
      those.map(async ({ machineKey }) => {
        const deliveries = await desk.deliveries(machineKey);
        const own: Delivery[] = [];
        for (const delivery of deliveries)
          if (delivery.begunAtMs !== undefined || (await desk.begin(delivery))) own.push(delivery);
        return own;
      }),
    );
    for (const delivery of begun.flat()) if (this.#random.chance(0.8)) this.#held.push(delivery);
  }

  async #end(): Promise<void> {
    const [delivery] = this.#held.splice(this.#random.below(Math.max(1, this.#held.length)), 1);
    if (!delivery) return;
    await this.bench.desk.report(delivery, [stepOf('runShellScript', { status: 'InProgress' })]);
    await this.bench.desk.end(delivery, this.#random.pick(ENDINGS));
  }

  async #cancel(): Promise<void> {
    if (this.#sent.length === 0 || !this.#random.chance(0.3)) return;
    const { id: CommandId } = this.#random.pick(this.#sent);
    const some = this.bench.ids.filter(() => this.#random.chance(0.3));
    await this.bench.call('CancelCommand', { CommandId, InstanceIds: some });
  }

  async #check(): Promise<void> {
    for (const { id: CommandId, running, errors, ends } of this.#sent) {
      const { CommandInvocations = [] } = await this.bench.call('ListCommandInvocations', { CommandId });
      const told = CommandInvocations.map(({ InstanceId = '', StatusDetails }) => ({
        InstanceId,
        details: StatusDetails as InvocationDetails,
      }));
      const count = (...which: InvocationDetails[]) =>
        told.filter(({ details }) => which.includes(details)).length;
      assert.ok(count('InProgress', 'Cancelling') <= running, 'MaxConcurrency holds');
      for (const { InstanceId, details } of told) {
        if (ends.has(InstanceId)) assert.equal(details, ends.get(InstanceId), 'what has ended stays so');
        if (isEnd(details)) ends.set(InstanceId, details);
      }
      if (count('Terminated') > 0)
        assert.ok(count('Failed', 'ExecutionTimedOut') > errors, 'none is terminated without need');
      // Those that ran when it was passed may still fail.
      assert.ok(count('Failed', 'ExecutionTimedOut') <= errors + running, 'MaxErrors holds');
    }
  }
}

test(`${HISTORIES} random histories`, { timeout: 120_000 }, async () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const history = new History(seed);
    using _ = history.bench;
    await history.run().catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
  }
});
