/** Where several machines may run the databases: what happens in a term, and before the next one. On virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, settled, VirtualClock } from '@rokka/kernel';
import { Holder, MemoryRegistry } from '@rokka/registry';
import { HeadPlace, registryOfTerm, type Term } from './head-place.ts';
import { rokkaErrors } from './errors.ts';

const BEFORE_MS = 2_000;

/** This machine, which would run the database, and another one that takes it away. */
class World {
  readonly clock = new VirtualClock();
  readonly registry = new MemoryRegistry();
  readonly done: string[] = [];
  prepares = async () => {};
  starts = async () => {};
  readonly place = new HeadPlace({
    registry: this.registry,
    clock: this.clock,
    name: 'one',
    beforeTerm: async () => {
      this.done.push('prepared');
      await this.prepares();
    },
    makeTerm: ({ term }) => this.#term(term),
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

  #term(term: number): Term {
    const say = (what: string) => void this.done.push(`${what} ${term}`);
    return {
      start: async () => {
        await this.starts();
        say('began');
      },
      kill: () => say('killed'),
      [Symbol.asyncDispose]: async () => say('ended'),
    };
  }
}

test('what heads need is made sure of before each term, however long another machine had the place', async () => {
  const world = new World();
  void world.place.start();
  await world.pass(BEFORE_MS);
  assert.deepEqual(world.done, ['prepared', 'began 1']);
  const other = await world.takeAway();
  await world.pass(60_000);
  assert.deepEqual(world.done.splice(0), ['prepared', 'began 1', 'killed 1', 'ended 1']);
  await other[Symbol.asyncDispose]();
  await world.pass(BEFORE_MS);
  assert.deepEqual(world.done, ['prepared', 'began 3']);
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

test('a registry that is away while a term begins ends nothing: the place is given back, and taken again', async () => {
  const world = new World();
  let attempts = 0;
  world.starts = async () => {
    if (attempts++ === 0) throw new CodedError('REGISTRY_UNAVAILABLE', 'away');
  };
  const starts = world.place.start();
  await world.pass(10_000);
  await starts;
  assert.deepEqual(world.done, ['prepared', 'ended 1', 'prepared', 'began 2']);
  await world.place[Symbol.asyncDispose]();
});

test('who lost the place while it stood still writes nothing more', async () => {
  const world = new World();
  void world.place.start();
  await world.pass(BEFORE_MS);
  const mine = registryOfTerm(world.registry, { holder: 'one', term: 1 });
  const revision = await mine.put('key', 'mine', 0);
  await using _ = await world.takeAway();
  const lost = { code: 'ROKKA_PLACE_LOST' };
  await assert.rejects(mine.put('key', 'stray', revision), lost);
  await assert.rejects(mine.remove('key', revision), lost);
  assert.equal((await mine.get('key'))?.value, 'mine');
  await world.place[Symbol.asyncDispose]();
});
