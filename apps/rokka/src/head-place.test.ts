/** Where several machines may run the database: what happens in a term, and before the next one. On virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled, VirtualClock } from '@rokka/kernel';
import { Holder, MemoryRegistry } from '@rokka/registry';
import type { SupervisedChild } from './child.ts';
import { HeadPlace } from './head-place.ts';
import { rokkaErrors } from './errors.ts';

const BEFORE_MS = 2_000;

/** This machine, which would run the database, and another one that takes it away. */
class World {
  readonly clock = new VirtualClock();
  readonly registry = new MemoryRegistry();
  readonly done: string[] = [];
  prepares = async () => {};
  readonly place = new HeadPlace({
    registry: this.registry,
    clock: this.clock,
    name: 'one',
    beforeHead: async () => {
      this.done.push('prepared');
      await this.prepares();
    },
    makeHead: ({ term }) => this.#head(term),
    onProgress: () => {},
    onLog: () => {},
  });

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += 500) {
      await settled();
      this.clock.advanceTo(this.clock.nowMs() + 500);
    }
  }

  /** As a machine that held this one for dead would. */
  async takeAway() {
    const holder = new Holder({
      registry: this.registry.another(),
      clock: this.clock,
      key: 'holders/main',
      name: 'two',
    });
    const entry = await this.registry.get<{ term: number }>('holders/main');
    assert.ok(entry);
    const tenure = await holder.take({ why: 'gone', revision: entry.revision, term: entry.value.term });
    assert.ok(tenure);
    return tenure;
  }

  #head(term: number): SupervisedChild {
    const say = (what: string) => void this.done.push(`${what} ${term}`);
    return {
      start: async () => say('head'),
      kill: () => say('killed'),
      [Symbol.asyncDispose]: async () => say('ended'),
    } as unknown as SupervisedChild;
  }
}

test('what a head needs is made sure of before each of its terms, however long another machine had the place', async () => {
  const world = new World();
  void world.place.start();
  await world.pass(BEFORE_MS);
  assert.deepEqual(world.done, ['prepared', 'head 1']);
  const other = await world.takeAway();
  await world.pass(60_000);
  assert.deepEqual(world.done.splice(0), ['prepared', 'head 1', 'killed 1', 'ended 1']);
  await other[Symbol.asyncDispose]();
  await world.pass(BEFORE_MS);
  assert.deepEqual(world.done, ['prepared', 'head 3']);
  await world.place[Symbol.asyncDispose]();
});

test('where that fails the place is given back, and the reason is told', async () => {
  const world = new World();
  const error = rokkaErrors.ROKKA_NO_DATABASE(['c']);
  world.prepares = () => Promise.reject(error);
  const starts = assert.rejects(world.place.start(), error);
  await world.pass(BEFORE_MS);
  await starts;
  assert.equal(await world.place.failed, error);
  assert.deepEqual(world.done, ['prepared']);
  const entry = await world.registry.get<{ holder: string }>('holders/main');
  assert.equal(entry?.value.holder, '');
  await world.place[Symbol.asyncDispose]();
});
