/** Freeze and Thaw: who is held, for how long at most, and what is said of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, settled, VirtualClock } from '@rokka/kernel';
import type { Writer } from '@rokka/snapshots';
import type { ActionResult } from '../action.ts';
import { manageVssIo } from './manage-vss-io.ts';

const MOUNT = { volume: '/dev/loop7', mountPoint: '/srv/ledger' };

class Bench {
  readonly clock = new VirtualClock();
  readonly calls: string[] = [];
  readonly said: string[] = [];
  hasLocal = true;
  looked: readonly string[] = [];
  holdFails: Error | undefined;
  holdMs = 0;
  releaseFails: Error | undefined;
  readonly #action = manageVssIo({
    clock: this.clock,
    packages: { installed: () => ({ AwsVssComponents: '1' }) } as never,
    ec2For: async () => this.#ec2() as never,
    leaseWriters: () => ({ [Symbol.dispose]: () => this.#note('free') }),
    writersFor: async (places) => {
      this.looked = places.map(({ mountPoint }) => mountPoint);
      return [[this.#writer()]];
    },
    localFileSystems: { open: async () => (this.hasLocal ? this.#local() : undefined) as never },
  });

  run(Action: string): Promise<ActionResult> {
    return this.#action.run({
      delivery: { scope: { account: '1', region: 'r' }, instance: 'i-1', command: 'c-1' } as never,
      inputs: { Action },
      signal: new AbortController().signal,
      ending: new AbortController().signal,
      say: (line) => this.said.push(line),
    });
  }

  /** Runs to its end what waits for time. */
  async passes(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs() + ms;
    for (await settled(); this.clock.runNext(untilMs); await settled());
  }

  #note(call: string): void {
    this.calls.push(call);
  }

  #ec2() {
    const instance = {
      RootDeviceName: '/dev/xvda',
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { VolumeId: 'vol-boot' } }],
    };
    return { send: async () => ({ Reservations: [{ Instances: [instance] }] }), destroy: () => {} };
  }

  #writer(): Writer {
    const note = (call: string) => async () => this.#note(call);
    return {
      id: 'w',
      identify: async () => [],
      prepare: async () => {},
      freeze: async () => {
        this.#note('freeze');
        return { level: 'application' };
      },
      thaw: note('thaw'),
      abort: note('abort'),
      finish: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  #local() {
    const failing = async (call: string, error: Error | undefined) => {
      this.#note(call);
      if (error) throw error;
    };
    const provider = {
      volumes: [MOUNT],
      frozenForMs: 1_234,
      hold: async () => {
        if (this.holdMs > 0) await this.clock.sleep(this.holdMs);
        return failing('hold', this.holdFails);
      },
      release: () => failing('release', this.releaseFails),
      snapshot: () => assert.fail('whoever froze copies'),
      [Symbol.asyncDispose]: async () => this.#note('gone'),
    };
    return { provider, set: { [Symbol.asyncDispose]: async () => this.#note('emptied') } };
  }
}

test('local file systems freeze after the applications, and go on before them', async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.run('Freeze'), { succeeded: true, responseCode: 0, stderr: '' });
  assert.deepEqual(bench.looked, [MOUNT.mountPoint]);
  assert.deepEqual(bench.calls, ['freeze', 'hold']);
  assert.match(
    bench.said.join(''),
    /^Applications and local file systems are held, for 10000 ms at most\.\n$/,
  );
  assert.match((await bench.run('Freeze')).stderr, /it is frozen already/);
  await bench.passes(9_000);
  assert.deepEqual(bench.calls, ['freeze', 'hold']);
  assert.equal((await bench.run('Thaw')).succeeded, true);
  assert.deepEqual(bench.calls, ['freeze', 'hold', 'release', 'thaw', 'gone', 'emptied', 'free']);
  assert.match(bench.said.join(''), /Frozen for 9000 ms\.\nLocal file systems were frozen for 1234 ms\.\n$/);
  assert.match((await bench.run('Thaw')).stderr, /nothing is frozen/);
});

test('whoever thaws too late is told so, and nobody is held until then', async () => {
  const bench = new Bench();
  await bench.run('Freeze');
  await bench.passes(9_999);
  assert.deepEqual(bench.calls, ['freeze', 'hold']);
  await bench.passes(2);
  assert.deepEqual(bench.calls.slice(2, 4), ['release', 'abort']);
  await bench.passes(60_000);
  const late = await bench.run('Thaw');
  assert.deepEqual([late.succeeded, /nobody thawed within 10000 ms/.test(late.stderr)], [false, true]);
});

test('file systems that were not frozen until the thaw are told', async () => {
  const bench = new Bench();
  bench.releaseFails = new CodedError('SNAPSHOTS_LOCAL_LOOSE', 'they were thawed before');
  await bench.run('Freeze');
  const { succeeded, stderr } = await bench.run('Thaw');
  assert.deepEqual([succeeded, /they were thawed before/.test(stderr)], [false, true]);
  assert.ok(bench.calls.includes('thaw'), 'applications go on all the same');
});

test('what cannot be frozen is a refusal, and holds nobody', async () => {
  const bench = new Bench();
  bench.holdFails = new CodedError('SNAPSHOTS_LOCAL_FOREIGN', 'somebody else has frozen it');
  const { succeeded, stderr } = await bench.run('Freeze');
  assert.deepEqual([succeeded, /somebody else has frozen it/.test(stderr)], [false, true]);
  assert.deepEqual(bench.calls, ['freeze', 'hold', 'release', 'abort', 'gone', 'emptied', 'free']);
  assert.match((await bench.run('Thaw')).stderr, /nothing is frozen/);
});

test('what is frozen when the time is over is not told to be held, and the next one may begin', async () => {
  const bench = new Bench();
  bench.holdMs = 11_500;
  const freezing = bench.run('Freeze');
  await bench.passes(12_000);
  assert.deepEqual([(await freezing).succeeded, bench.said], [false, []]);
  assert.deepEqual(bench.calls.slice(0, 4), ['freeze', 'hold', 'release', 'abort']);
  await bench.passes(60_000);
  bench.holdMs = 0;
  assert.equal((await bench.run('Freeze')).succeeded, true);
});

test('an instance with neither a volume nor a local file system has nothing to hold', async () => {
  const bench = new Bench();
  bench.hasLocal = false;
  assert.match((await bench.run('Freeze')).stderr, /has no volume but its boot volume/);
  assert.deepEqual(bench.calls, ['free']);
});
