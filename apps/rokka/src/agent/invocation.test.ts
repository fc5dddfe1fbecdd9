/** The course of a document: what runs after what, and that a crash at any moment runs nothing twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, must, settled, VirtualClock } from '@rokka/kernel';
import type { Delivery, DocumentStep, Ending, StepResult } from '@rokka/services';
import type { Action, ActionInput, ActionResult } from './action.ts';
import { failed, succeeded } from './action.ts';
import { textOf } from './inputs.ts';
import { carryOut } from './invocation.ts';

const HOUR_MS = 3_600_000;

const step = (name: string, more: Partial<DocumentStep> = {}): DocumentStep => ({
  name,
  action: 'aws:act',
  platform: 'Linux',
  inputs: {},
  onFailure: undefined,
  onSuccess: undefined,
  finallyStep: false,
  ...more,
});

/** What the registry keeps, whoever asks. */
class Desk {
  steps: readonly StepResult[] = [];
  ending: Ending | undefined;
  cancelled = false;
  /** The agent dies at this write, before it or after it. */
  dies: { write: number; when: 'before' | 'after' } | undefined;
  writes = 0;

  async isCancelled(): Promise<boolean> {
    return this.cancelled;
  }

  async report(_: Delivery, steps: readonly StepResult[]): Promise<void> {
    this.#write(() => (this.steps = structuredClone(steps)));
  }

  async end(_: Delivery, ending: Ending): Promise<boolean> {
    const isFirst = this.ending === undefined;
    this.#write(() => (this.ending ??= structuredClone(ending)));
    return isFirst;
  }

  #write(write: () => void): void {
    const { dies } = this;
    const isLast = this.writes++ === dies?.write;
    if (isLast && dies.when === 'before') throw new CodedError('REGISTRY_UNREACHABLE', 'the agent is dead');
    write();
    if (isLast) throw new CodedError('REGISTRY_UNREACHABLE', 'the agent is dead');
  }
}

class Bench {
  readonly clock = new VirtualClock();
  readonly desk = new Desk();
  /** Steps that were begun, in order. */
  readonly begun: string[] = [];
  readonly recovered: string[] = [];
  readonly #steps: readonly DocumentStep[];
  readonly #behaviour: (input: ActionInput) => Promise<ActionResult>;

  constructor(
    steps: readonly DocumentStep[],
    behaviour: (input: ActionInput) => Promise<ActionResult> = async () => succeeded,
  ) {
    this.#steps = steps;
    this.#behaviour = behaviour;
  }

  get delivery(): Delivery {
    return {
      scope: { account: '1', region: 'r' },
      command: 'c',
      instance: 'i-1',
      machineKey: 'm',
      document: { name: 'd', version: '1', steps: this.#steps, parameters: {} },
      executionSeconds: 3600,
      expiresAtMs: this.clock.wallMs() + 10 * HOUR_MS,
      begunAtMs: 0,
      steps: this.desk.steps,
    };
  }

  async run(signal = new AbortController().signal): Promise<void> {
    const action: Action = {
      run: async (input) => {
        this.begun.push(textOf(input.inputs, 'name'));
        return this.#behaviour(input);
      },
      recover: async (input) => {
        this.recovered.push(textOf(input.inputs, 'name'));
        return 'It is undone.';
      },
    };
    const actions = new Map([['aws:act', action]]);
    const work = carryOut(this.delivery, { desk: this.desk, actions, clock: this.clock, signal });
    const isOver = () => Promise.race([work.then(() => true), settled().then(() => false)]);
    while (!(await isOver())) assert.ok(this.clock.runNext(this.clock.nowMs() + 100 * HOUR_MS), 'it ends');
  }

  get statuses(): string[] {
    return must(this.desk.ending).steps.map(({ name, statusDetails }) => `${name} ${statusDetails}`);
  }
}

const named = (name: string, more: Partial<DocumentStep> = {}) => step(name, { inputs: { name }, ...more });
const failing =
  (...names: string[]) =>
  async ({ inputs }: ActionInput) =>
    names.includes(textOf(inputs, 'name')) ? failed('no') : succeeded;

const COURSES: [string, DocumentStep[], string[], Ending['status'], string[]][] = [
  ['all go well', [named('a'), named('b')], [], 'Success', ['a Success', 'b Success']],
  ['after a failure the next one runs', [named('a'), named('b')], ['a'], 'Failed', ['a Failed', 'b Success']],
  [
    'a failure that ends it',
    [named('a', { onFailure: 'exit' }), named('b'), named('z', { finallyStep: true })],
    ['a'],
    'Failed',
    ['a Failed', 'b Skipped', 'z Success'],
  ],
  [
    'a failure that counts as success',
    [named('a', { onFailure: 'successAndExit' }), named('b')],
    ['a'],
    'Success',
    ['a Failed', 'b Skipped'],
  ],
  [
    'a success that ends it',
    [named('a', { onSuccess: 'exit' }), named('b')],
    [],
    'Success',
    ['a Success', 'b Skipped'],
  ],
  [
    'another platform',
    [named('a', { platform: 'Windows' }), named('b')],
    [],
    'Success',
    ['a Skipped', 'b Success'],
  ],
  ['what nobody carries out', [step('a', { action: 'aws:dance' })], [], 'Failed', ['a Failed']],
];
for (const [title, steps, fails, status, statuses] of COURSES)
  test(title, async () => {
    const bench = new Bench(steps, failing(...fails));
    await bench.run();
    assert.deepEqual([must(bench.desk.ending).status, bench.statuses], [status, statuses]);
  });

test('a crash at any write runs no step twice, and what was cut short is undone', async () => {
  for (let write = 0; write < 8; write++)
    for (const when of ['before', 'after'] as const) {
      const bench = new Bench([named('a'), named('b'), named('z', { finallyStep: true })]);
      bench.desk.dies = { write, when };
      await bench.run().catch(() => {});
      bench.desk.dies = undefined;
      if (!bench.desk.ending) await bench.run();
      const all = `write ${write} ${when}: ${bench.begun.join(' ')}`;
      assert.equal(new Set(bench.begun).size, bench.begun.length, all);
      assert.ok(
        must(bench.desk.ending).steps.every(({ status }) => status === 'Success' || status === 'Failed'),
      );
      const cut = must(bench.desk.ending).steps.filter(({ status }) => status === 'Failed');
      assert.deepEqual(
        cut.map(({ name }) => name),
        bench.recovered,
        all,
      );
      for (const { stderr } of cut)
        assert.match(stderr, /the agent ended while the step ran\. It is undone\./);
    }
});

/** Runs until its signal says that it is enough. */
const endless = ({ signal }: ActionInput) =>
  new Promise<ActionResult>((resolve) => {
    signal.addEventListener('abort', () => resolve(failed((signal.reason as Error).message)), { once: true });
  });

test('what takes too long is ended, and what comes at last runs all the same', async () => {
  const slow = named('a', { inputs: { name: 'a', timeoutSeconds: '7' } });
  const bench = new Bench([slow, named('z', { finallyStep: true })], (input) =>
    input.inputs['name'] === 'a' ? endless(input) : Promise.resolve(succeeded),
  );
  await bench.run();
  assert.deepEqual(bench.statuses, ['a ExecutionTimedOut', 'z Success']);
  assert.equal(must(bench.desk.ending).status, 'Failed');
  const [cut] = must(bench.desk.ending).steps;
  assert.deepEqual(
    [cut.stderr, must(cut.endedAtMs) - must(cut.startedAtMs)],
    ['it took longer than 7000 ms', 7_000],
  );
});

test('what is cancelled ends within a moment, and nothing more begins but what comes at last', async () => {
  const bench = new Bench([named('a'), named('b'), named('z', { finallyStep: true })], (input) =>
    input.inputs['name'] === 'a' ? endless(input) : Promise.resolve(succeeded),
  );
  bench.clock.after(2_500, () => (bench.desk.cancelled = true));
  await bench.run();
  assert.deepEqual(bench.statuses, ['a Cancelled', 'b Cancelled', 'z Success']);
  assert.equal(must(bench.desk.ending).status, 'Cancelled');
});

test('an agent that is to end cuts its step short and tells nothing more', async () => {
  const controller = new AbortController();
  const bench = new Bench([named('a')], endless);
  bench.clock.after(5, () => controller.abort(new Error('the agent ends')));
  await assert.rejects(bench.run(controller.signal), /the agent ends/);
  assert.deepEqual([bench.desk.ending, bench.desk.steps[0]?.status], [undefined, 'InProgress']);
  await bench.run();
  assert.deepEqual([bench.recovered, must(bench.desk.ending).status], [['a'], 'Failed']);
});
