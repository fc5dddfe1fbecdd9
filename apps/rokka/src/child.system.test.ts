import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Deferred, must, systemClock, VirtualClock } from '@rokka/kernel';
import { SupervisedChild } from './child.ts';
import type { SpareProcess } from './spare-process.ts';
import { kill } from './testing/test-place.ts';

const READY = `process.send({ kind: 'ready' }); setInterval(() => {}, 1000); process.on('disconnect', () => process.exit(0))`;
const END = `process.on('disconnect', () => process.exit(0));`;
/** Says whether it was there before it was needed. */
const WAITS = `process.on('message', ({ kind, waited }) => kind === 'begin' && process.send({ kind: 'ready', detail: waited })); ${END}`;
/** Is of no use when it has waited. */
const FREEZES = `process.on('message', ({ kind, waited }) => kind === 'begin' && !waited && process.send({ kind: 'ready' })); ${END}`;
/** Says once more that it is ready when it is told to stop, and takes its time. */
const LATE = `process.on('message', ({ kind }) => {
  process.send({ kind: 'ready' });
  if (kind === 'stop') setTimeout(() => process.exit(0), 300);
}); ${END}`;
const timeout = 180_000;

/** Process ids of all there are of this process. */
const children = () =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);

/** A child whose pauses pass only when the test says so. */
class ChildUnderTest implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly child: SupervisedChild;
  /** What the child said when it was ready. */
  detail: unknown;
  /** Processes made so far. */
  launched = 0;
  /** The machine has no room for another one. */
  full = false;
  #ready = new Deferred<void>();
  #log = new Deferred<string>();

  constructor(
    of: { script?: string; spare?: boolean; awaitsBegin?: boolean; handedOver?: SpareProcess } = {},
  ) {
    const { script = READY, spare = false, awaitsBegin = spare } = of;
    this.child = new SupervisedChild({
      name: 'child',
      command: () => {
        if (this.full) throw new Error('spawn ENOMEM');
        this.launched++;
        return { command: process.execPath, args: ['-e', script] };
      },
      spare,
      awaitsBegin,
      handedOver: of.handedOver,
      clock: this.clock,
      readyTimeoutMs: 1e9,
      stopTimeoutMs: 1e9,
      onLog: (level, text) => level === 'warn' && this.#log.resolve(text),
      onReady: (detail) => ((this.detail = detail), this.#ready.resolve()),
    });
  }

  /** Resolves when it is ready again after a kill. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when it says so once more. */
  becomesReady(): Promise<void> {
    this.#ready = new Deferred();
    return this.#ready.promise;
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

  /** What the supervisor says next. */
  said(): Promise<string> {
    this.#log = new Deferred();
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

test('a spare waits for a child that serves, and takes its place; it goes with it', { timeout }, async () => {
  const of = new ChildUnderTest({ script: WAITS, spare: true });
  await using stack = new AsyncDisposableStack();
  stack.use(of);
  await of.child.start();
  assert.equal(of.detail, false, 'there was none at the first start');
  assert.equal(of.launched, 1, 'nor is one made while the start may be waited for');
  assert.match(await of.killedAfter(2_001), /now$/);
  assert.equal(of.launched, 2);
  of.pass(0);
  await of.ready;
  assert.equal(of.detail, true);
  assert.equal(of.launched, 2, 'the one that waited serves');
  // Killed before there is another one, it is started as any child.
  assert.match(await of.killedAfter(1_999), /in 100 ms$/);
  of.pass(100);
  await of.ready;
  assert.equal(of.detail, false);
  assert.equal(of.launched, 3);
  of.pass(2_000);
  assert.equal(of.launched, 4);
  assert.equal(children().length, 2);
  of.child.kill();
  await stack.disposeAsync();
  assert.deepEqual(children(), []);
});

test('a spare is wanted later, and not wanted any more', { timeout }, async () => {
  await using of = new ChildUnderTest({ script: WAITS, awaitsBegin: true });
  await of.child.start();
  of.pass(10_000);
  assert.equal(of.launched, 1);
  of.child.keepSpare(true);
  of.pass(2_000);
  assert.deepEqual([of.launched, of.child.spareWaits], [2, true]);
  of.child.keepSpare(false);
  assert.equal(of.child.spareWaits, false);
  assert.match(await of.killedAfter(2_001), /now$/);
  of.pass(0);
  await of.ready;
  assert.deepEqual([of.detail, of.launched], [false, 3], 'nobody had waited');
  of.child.keepSpare(true);
  of.pass(2_000);
  assert.match(await of.killedAfter(1), /now$/);
  of.pass(0);
  await of.ready;
  assert.equal(of.detail, true);
});

test('a spare is handed over to the child that comes next', { timeout }, async () => {
  const before = new ChildUnderTest({ script: WAITS, spare: true });
  await before.child.start();
  before.pass(2_000);
  await using given = before.child.handOver();
  await before[Symbol.asyncDispose]();
  const [waiting] = children();
  await using next = new ChildUnderTest({ script: WAITS, spare: true, handedOver: given });
  await next.child.start();
  assert.deepEqual([next.child.pid, next.detail, next.launched], [must(waiting), true, 0]);
  assert.equal(given.waits, false);
  assert.match(await next.killedAfter(1), /in 100 ms$/);
  next.pass(100);
  await next.ready;
  assert.deepEqual([next.detail, next.launched], [false, 1]);
});

test('a spare that ends by itself is made again after a while', { timeout }, async () => {
  await using of = new ChildUnderTest({ script: WAITS, spare: true });
  await of.child.start();
  const own = must(of.child.pid);
  of.pass(2_000);
  const said = of.said();
  const spare = children().find((pid) => pid !== own);
  kill(must(spare));
  assert.match(await said, /there is no spare child now: it ended \(SIGKILL\)/);
  assert.equal(of.child.spareWaits, false);
  of.pass(4_999);
  assert.equal(of.launched, 2);
  of.pass(1);
  assert.deepEqual([of.launched, of.child.spareWaits, of.child.pid], [3, true, own]);
});

test('a spare that cannot be made is done without', { timeout }, async () => {
  await using of = new ChildUnderTest({ script: WAITS, spare: true });
  await of.child.start();
  of.full = true;
  const said = of.said();
  of.pass(2_000);
  assert.match(await said, /there is no spare child now: .*spawn ENOMEM/);
  assert.notEqual(of.child.pid, undefined, 'who serves goes on');
});

test('no spare is made for a child that is ready while it stops', { timeout }, async () => {
  await using of = new ChildUnderTest({ script: LATE, spare: true });
  await of.child.start();
  const again = of.becomesReady();
  const stopping = of.child[Symbol.asyncDispose]();
  await again;
  of.pass(5_000);
  await stopping;
  assert.equal(of.launched, 1);
});

test('a spare that does not stir when it is needed is killed', { timeout }, async () => {
  await using of = new ChildUnderTest({ script: FREEZES, spare: true });
  await of.child.start();
  assert.match(await of.killedAfter(2_001), /now$/);
  of.pass(0);
  const frozen = of.child.pid as number;
  const said = of.said();
  of.pass(29_999);
  await systemClock.sleep(50);
  assert.equal(of.child.pid, frozen);
  of.pass(1);
  assert.match(await said, /SIGKILL.*starting it again in 100 ms/);
  of.pass(100);
  await of.ready;
  assert.equal(of.launched, 3);
});
