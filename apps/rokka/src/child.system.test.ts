import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deferred, systemClock, VirtualClock } from '@rokka/kernel';
import { SupervisedChild } from './child.ts';
import { kill } from './testing/test-place.ts';

const READY = `process.send({ kind: 'ready' }); setInterval(() => {}, 1000); process.on('disconnect', () => process.exit(0))`;
const timeout = 60_000;

/** A child whose pauses pass only when the test says so. */
class ChildUnderTest implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly child: SupervisedChild;
  #ready = new Deferred<void>();
  #log = new Deferred<string>();

  constructor(script = READY) {
    this.child = new SupervisedChild({
      name: 'child',
      command: () => ({ command: process.execPath, args: ['-e', script] }),
      clock: this.clock,
      readyTimeoutMs: 1e9,
      stopTimeoutMs: 1e9,
      onLog: (level, text) => level === 'warn' && this.#log.resolve(text),
      onReady: () => this.#ready.resolve(),
    });
  }

  /** Kills it after it was ready for so long, and gives back what the supervisor says to that. */
  async killedAfter(readyMs: number): Promise<string> {
    await this.#ready.promise;
    this.#ready = new Deferred();
    this.#log = new Deferred();
    this.pass(readyMs);
    kill(this.child.pid as number);
    return this.#log.promise;
  }

  pass(ms: number): void {
    this.clock.advanceTo(this.clock.nowMs() + ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill();
    await this.child[Symbol.asyncDispose]();
  }
}

test(
  'a child that had served is started again at once, one that had not after a growing pause',
  { timeout },
  async () => {
    await using of = new ChildUnderTest();
    await of.child.start();
    assert.match(await of.killedAfter(3_000), /SIGKILL.*starting it again now$/);
    of.pass(0);
    assert.match(await of.killedAfter(10), /starting it again in 100 ms$/);
    of.pass(99);
    await systemClock.sleep(100);
    assert.equal(of.child.pid, undefined, 'the pause is not over');
    of.pass(1);
    assert.match(await of.killedAfter(10), /starting it again in 200 ms$/);
    of.pass(200);
    assert.match(await of.killedAfter(10), /starting it again in 400 ms$/);
    of.pass(400);
    assert.match(await of.killedAfter(3_000), /starting it again now$/);
    of.pass(0);
    assert.match(await of.killedAfter(10), /starting it again in 100 ms$/, 'and the pauses are short again');
    assert.equal(of.child.restarts, 5);
  },
);
