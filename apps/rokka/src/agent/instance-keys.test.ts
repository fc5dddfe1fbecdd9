/** How long keys are kept, and for whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { InstanceKeys, type KeysOf } from './instance-keys.ts';

const MINUTE_MS = 60_000;
const OWN: KeysOf = { account: '000000000001', region: 'eu-north-1', instance: 'i-1' };

class Bench {
  readonly clock = new VirtualClock();
  /** Whose sessions were made, in order. */
  readonly made: string[] = [];
  minutes = 60;
  missing: string | undefined;
  readonly keys = new InstanceKeys({
    clock: this.clock,
    make: async ({ account, region, instance }) => {
      if (this.missing !== undefined) return { missing: this.missing };
      const accessKeyId = `ASIA${this.made.push(`${account} ${region} ${instance}`)}`;
      const expiration = new Date(this.clock.wallMs() + this.minutes * MINUTE_MS);
      return { accessKeyId, secretAccessKey: '', sessionToken: '', expiration };
    },
  });

  after(minutes: number): void {
    this.clock.advanceTo(this.clock.nowMs() + minutes * MINUTE_MS);
  }

  async get(of: Partial<KeysOf> = {}): Promise<string> {
    return (await this.keys.get({ ...OWN, ...of })).accessKeyId;
  }
}

test('steps that follow each other, or run at once, have one session', async () => {
  const bench = new Bench();
  assert.deepEqual(await Promise.all([bench.get(), bench.get()]), ['ASIA1', 'ASIA1']);
  bench.after(4.9);
  assert.equal(await bench.get(), 'ASIA1');
  // A role that was taken away counts five minutes later.
  bench.after(0.1);
  assert.equal(await bench.get(), 'ASIA2');
  assert.equal(bench.made.length, 2);
});

test('keys that end soon are not given again', async () => {
  const bench = new Bench();
  bench.minutes = 12;
  await bench.get();
  bench.after(1.9);
  assert.equal(await bench.get(), 'ASIA1');
  bench.after(0.1);
  assert.equal(await bench.get(), 'ASIA2');
});

test('each account, region and instance has its own', async () => {
  const bench = new Bench();
  await bench.get();
  assert.equal(await bench.get({ account: '000000000002' }), 'ASIA2');
  assert.equal(await bench.get({ region: 'eu-west-1' }), 'ASIA3');
  assert.equal(await bench.get({ instance: 'i-2' }), 'ASIA4');
  assert.equal(await bench.get(), 'ASIA1');
});

test('that there are none is said each time, and not kept', async () => {
  const bench = new Bench();
  bench.missing = 'No instance profile.';
  const none = { code: 'ROKKA_NO_INSTANCE_KEYS', message: /No instance profile\./ };
  await assert.rejects(bench.get(), none);
  await assert.rejects(bench.get(), none);
  bench.missing = undefined;
  assert.equal(await bench.get(), 'ASIA1');
});
