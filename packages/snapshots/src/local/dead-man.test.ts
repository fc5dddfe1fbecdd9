/** The switch against every order in which a kernel answers: nothing of ours stays frozen, and nothing of others is thawed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, SeededRandom, settled, VirtualClock } from '@rokka/kernel';
import { DeadMan, type Freezable, type FreezeEnd, type LetGo, type ThawEnd, thawSurely } from './dead-man.ts';

const HOLD_MS = 10_000;

/** As the kernel has it: a thaw is refused until a freeze is over; `unasked` answers of a thaw fail before it is asked. */
class StandInFileSystem implements Freezable {
  readonly name: string;
  readonly #clock: VirtualClock;
  readonly #of: { freezeMs: number; end: FreezeEnd; freezesAllTheSame?: boolean; unasked?: number };
  state: 'live' | 'frozen' | 'foreign' = 'live';
  frozenAtMs: number | undefined;
  thawedAtMs: number | undefined;
  #unasked: number;

  constructor(name: string, clock: VirtualClock, of: Partial<StandInFileSystem['of']> = {}) {
    this.name = name;
    this.#clock = clock;
    this.#of = { freezeMs: 5, end: 'frozen', ...of };
    this.#unasked = of.unasked ?? 0;
    if (this.#of.end === 'foreign') this.state = 'foreign';
  }

  get of() {
    return this.#of;
  }

  async freeze(): Promise<FreezeEnd> {
    await this.#clock.sleep(this.#of.freezeMs);
    const { end, freezesAllTheSame } = this.#of;
    if (end === 'frozen' || freezesAllTheSame) {
      this.state = 'frozen';
      this.frozenAtMs = this.#clock.nowMs();
    }
    return end;
  }

  async thaw(): Promise<ThawEnd> {
    await this.#clock.sleep(1);
    if (this.#unasked-- > 0) return { failed: 'no memory for another process' };
    if (this.state === 'live') return 'loose';
    this.state = 'live';
    this.thawedAtMs = this.#clock.nowMs();
    return 'thawed';
  }
}

async function over<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  const isOver = () => Promise.race([work.then(() => true), settled().then(() => false)]);
  while (!(await isOver())) assert.ok(clock.runNext(1_000_000), 'it ends');
  return work;
}

/** Until nothing more can come. */
async function drained(clock: VirtualClock): Promise<void> {
  for (await settled(); clock.pending > 0; await settled()) clock.runNext(1_000_000);
}

function cast(...of: Partial<StandInFileSystem['of']>[]) {
  const clock = new VirtualClock();
  const freezables = of.map((each, at) => new StandInFileSystem(`/srv/${at}`, clock, each));
  return { clock, freezables, deadMan: new DeadMan({ freezables, clock, holdMs: HOLD_MS }) };
}

test('all are frozen, and thawed when it is told', async () => {
  const { clock, freezables, deadMan } = cast({}, { freezeMs: 40 });
  const { isWhole, ends } = await over(clock, deadMan.freeze());
  assert.deepEqual([isWhole, ends], [true, { '/srv/0': 'frozen', '/srv/1': 'frozen' }]);
  assert.ok(freezables.every(({ state }) => state === 'frozen'));
  const letGo = await over(clock, deadMan.thaw());
  assert.deepEqual(letGo, { isWhole: true, why: 'they were thawed', frozenForMs: 41 });
  assert.ok(freezables.every(({ state }) => state === 'live'));
  assert.deepEqual(await over(clock, deadMan.thaw()), letGo);
});

test('the deadline counts from the first freeze, and whoever is late is told', async () => {
  const { clock, freezables, deadMan } = cast({}, {});
  await over(clock, deadMan.freeze());
  await drained(clock);
  assert.ok(freezables.every(({ state }) => state === 'live'));
  assert.ok(freezables.every(({ thawedAtMs }) => must(thawedAtMs) <= HOLD_MS + 1));
  const { isWhole, why } = await over(clock, deadMan.thaw());
  assert.deepEqual([isWhole, why], [false, '10000 ms were over']);
});

test('a freeze that is under way when all shall be let go is thawed after its end, however late that is', async () => {
  for (const freezeMs of [50, 60_000]) {
    const { clock, freezables, deadMan } = cast({}, { freezeMs });
    const frozen = deadMan.freeze();
    clock.after(10, () => void deadMan.abandon('nobody is left'));
    const { isWhole } = await over(clock, frozen);
    assert.equal(isWhole, false);
    await drained(clock);
    assert.ok(freezables.every(({ state }) => state === 'live'));
    assert.ok(must(freezables[0]?.thawedAtMs) < must(freezables[1]?.thawedAtMs));
  }
});

test('one that is somebody else’s stays so, and the others go on at once', async () => {
  const { clock, freezables, deadMan } = cast({}, { end: 'foreign' }, { end: { failed: 'EIO' } });
  const { isWhole, ends } = await over(clock, deadMan.freeze());
  assert.deepEqual([isWhole, ends['/srv/1']], [false, 'foreign']);
  await over(clock, deadMan.thaw());
  assert.deepEqual(
    freezables.map(({ state }) => state),
    ['live', 'foreign', 'live'],
  );
});

test('a freeze that failed is thawed all the same, for it may have frozen', async () => {
  const { clock, freezables, deadMan } = cast({ end: { failed: 'killed' }, freezesAllTheSame: true });
  await over(clock, deadMan.freeze());
  await over(clock, deadMan.thaw());
  assert.equal(freezables[0]?.state, 'live');
});

test('one that was thawed by somebody meanwhile is told', async () => {
  const { clock, freezables, deadMan } = cast({}, {});
  await over(clock, deadMan.freeze());
  must(freezables[1]).state = 'live';
  const { isWhole, why } = await over(clock, deadMan.thaw());
  assert.deepEqual([isWhole, why], [false, 'one of them was not frozen any more']);
});

test('what cannot be asked is asked again; only whoever says so gives it up', async () => {
  const { clock, freezables, deadMan } = cast({ unasked: 200 });
  await over(clock, deadMan.freeze());
  assert.equal((await over(clock, deadMan.thaw())).isWhole, true);
  assert.equal(freezables[0]?.state, 'live');
  const dead = new StandInFileSystem('/srv/dead', clock, { unasked: 5 });
  dead.state = 'frozen';
  const given = assert.rejects(thawSurely(dead, { clock, triesMax: 3 }), /\/srv\/dead: no memory/);
  await over(clock, given);
  assert.equal(await over(clock, thawSurely(dead, { clock, triesMax: 3 })), true);
});

test('whoever is gone before it begins freezes nothing', async () => {
  const { clock, freezables, deadMan } = cast({});
  await over(clock, deadMan.abandon('nobody is left'));
  const { isWhole } = await over(clock, deadMan.freeze());
  await drained(clock);
  assert.deepEqual([isWhole, freezables[0]?.frozenAtMs], [false, undefined]);
});

test('whatever goes wrong, and whenever it is let go', async () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new SeededRandom(seed);
    const ends: FreezeEnd[] = ['frozen', 'frozen', 'frozen', 'frozen', 'foreign', { failed: 'EIO' }];
    const { clock, freezables, deadMan } = cast(
      ...Array.from({ length: 1 + random.below(3) }, () => ({
        freezeMs: random.chance(0.1) ? 20_000 : random.below(50),
        end: random.pick(ends),
        freezesAllTheSame: random.chance(0.5),
        unasked: random.chance(0.2) ? random.below(4) : 0,
      })),
    );
    const how = random.pick(['thaw', 'abandon', 'deadline']);
    const atMs = random.below(100);
    let letGo: Promise<LetGo> | undefined;
    const frozen = deadMan.freeze();
    if (how !== 'deadline')
      clock.after(atMs, () => void (letGo = how === 'thaw' ? deadMan.thaw() : deadMan.abandon('gone')));
    await over(clock, frozen);
    await drained(clock);
    const last = await over(clock, letGo ?? deadMan.thaw());
    const foreign = freezables.map(
      ({ of: { end, freezesAllTheSame } }) => end === 'foreign' && !freezesAllTheSame,
    );
    assert.deepEqual(
      freezables.map(({ state }) => state),
      foreign.map((is, at) => (is ? 'foreign' : freezables[at]?.of.end === 'foreign' ? 'frozen' : 'live')),
      `seed ${seed}`,
    );
    if (!last.isWhole) continue;
    assert.equal(how, 'thaw');
    assert.ok(freezables.every(({ frozenAtMs }) => must(frozenAtMs) <= Math.max(atMs, 50)));
  }
});
