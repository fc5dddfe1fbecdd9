/** The writer of the boot volume: its copy is made before anybody is held, and is let go whatever becomes of it. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import type { StateCopy } from '@rokka/databases';
import { VirtualClock } from '@rokka/kernel';
import { coordinate, outcomeOf, type Writer } from '@rokka/snapshots';
import { BootWriter } from './boot-writer.ts';

class Bench {
  readonly clock = new VirtualClock();
  readonly leased: number[] = [];
  readonly done: string[] = [];
  state: StateCopy | undefined = { version: 3 };
  readonly writer = new BootWriter({
    clock: this.clock,
    mirror: {
      lease: async () => {
        this.leased.push(4);
        return 4;
      },
      letGo: async (version) => void this.leased.splice(this.leased.indexOf(version), 1),
      copy: async () => this.state,
    },
  });

  /** An application that is held. */
  get application(): Writer {
    const note = (what: string) => async () => void this.done.push(what);
    return {
      id: 'other',
      identify: async () => [],
      prepare: note('prepare'),
      freeze: async () => (
        this.done.push(`freeze with ${this.leased.length} leased`),
        { level: 'application' }
      ),
      thaw: note('thaw'),
      abort: note('abort'),
      finish: note('finish'),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async course() {
    const { clock, writer, application } = this;
    const provider = {
      holds: false,
      hold: async () => {},
      release: async () => {},
      snapshot: async () => ({ id: 'set-1', snapshots: [] }),
      [Symbol.asyncDispose]: async () => {},
    };
    const work = coordinate({ tiers: [[writer], [application]], provider, clock });
    const over = work.then(() => true);
    while (!(await Promise.race([over, turn(false)]))) {
      clock.runNext(Number.MAX_SAFE_INTEGER);
      if (clock.nowMs() > 1_000 && this.state?.version === 3 && !this.state.failure)
        this.state = { version: 4 };
    }
    return outcomeOf(await work, { strays: [], withoutWriters: false });
  }
}

test('programs are held when the copy is there, and the lease ends with the snapshot', async () => {
  const bench = new Bench();
  const { level } = await bench.course();
  assert.equal(level, 'application');
  assert.deepEqual(bench.done, ['prepare', 'freeze with 1 leased', 'thaw', 'finish']);
  assert.ok(bench.clock.nowMs() > 1_000);
  assert.deepEqual(bench.leased, []);
});

test('a state that cannot be copied is a veto, before anybody is held', async () => {
  const bench = new Bench();
  bench.state = { version: 3, underWay: 4, failure: 'the disk is broken' };
  const { set, reasons } = await bench.course();
  assert.equal(set, undefined);
  assert.match(reasons.join(), /rokka at prepare: ROKKA_STATE_UNCOPIED: .*the disk is broken/);
  assert.deepEqual(bench.done, ['prepare', 'abort', 'finish']);
  assert.deepEqual(bench.leased, []);
});

test('whoever disposes of it before its end has let go as well', async () => {
  const bench = new Bench();
  bench.state = { version: 4 };
  await bench.writer.prepare(new AbortController().signal);
  assert.deepEqual(bench.leased, [4]);
  await bench.writer[Symbol.asyncDispose]();
  assert.deepEqual(bench.leased, []);
});
