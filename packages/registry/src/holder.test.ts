/** Who holds a place, on virtual time: renewing, dying, giving back, and a registry that is away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Clock, must, SeededRandom, VirtualClock } from '@rokka/kernel';
import { Holder } from './holder.ts';
import { HolderWatch } from './holder-watch.ts';
import { MemoryRegistry } from './memory-registry.ts';
import { type HolderRecord, type Standing, Tenure } from './tenure.ts';
import { type Line, RoughRegistry, skewedClock } from './testing/rough-registry.ts';
import { onVirtualTime } from './testing/virtual-time.ts';

const KEY = 'holders/head';
const BEAT_MS = 1_000;
const GONE_MS = 6_000;
const SECOND = 1_000;

class Candidate {
  readonly told: Standing[] = [];
  readonly registry: RoughRegistry;
  readonly stop = new AbortController();
  readonly holder: Holder;
  tenure: Tenure | undefined;
  tookMs = 0;

  constructor(options: {
    name: string;
    state: MemoryRegistry;
    base: VirtualClock;
    clock?: Clock;
    seed?: number;
  }) {
    const { name, state, base, clock = base, seed = 1 } = options;
    const random = new SeededRandom(seed);
    this.registry = new RoughRegistry({ inner: state.another(), clock: base, random });
    this.holder = new Holder({
      registry: this.registry,
      clock,
      key: KEY,
      name,
      beatMs: BEAT_MS,
      goneAfterMs: GONE_MS,
      onStanding: (standing) => this.told.push(standing),
    });
    void this.#run(base);
  }

  get standing(): Standing | undefined {
    return this.tenure?.standing;
  }

  async #run(base: VirtualClock): Promise<void> {
    try {
      this.tenure = await this.holder.hold(this.stop.signal);
      this.tookMs = base.nowMs();
    } catch (error) {
      assert.ok(this.stop.signal.aborted, String(error));
    }
  }
}

function place() {
  const base = new VirtualClock();
  const state = new MemoryRegistry();
  const make = (name: string, more: { clock?: Clock; seed?: number } = {}) =>
    new Candidate({ name, state, base, ...more });
  const pass = (ms: number) => onVirtualTime(base, base.sleep(ms));
  const record = async () => must(await state.get<HolderRecord>(KEY)).value;
  return { base, state, make, pass, record };
}

test('the first one takes the place, and keeps it while it lives', async () => {
  const { make, pass, record } = place();
  const first = make('first');
  await pass(SECOND);
  const second = make('second');
  await pass(600 * SECOND);
  assert.equal(first.standing, 'held');
  assert.equal(second.standing, undefined);
  assert.deepEqual(first.told, []);
  const { holder, term, beat } = await record();
  assert.deepEqual([holder, term], ['first', 1]);
  assert.ok(beat > 500);
});

test('a holder that is gone is replaced, after it knows that it is in doubt', async () => {
  const { base, make, pass, record } = place();
  const first = make('first');
  await pass(SECOND);
  const second = make('second');
  await pass(10 * SECOND);
  first.registry.line = 'away';
  const cutMs = base.nowMs();
  while (!second.tenure) {
    await pass(100);
    if (second.standing === 'held') assert.equal(first.standing, 'doubtful');
  }
  assert.deepEqual(first.told, ['doubtful']);
  const tookMs = second.tookMs - cutMs;
  assert.ok(tookMs > GONE_MS - 2 * BEAT_MS && tookMs < GONE_MS + 2 * BEAT_MS, `${tookMs} ms`);
  assert.deepEqual(await record(), { holder: 'second', term: 2, beat: 0 });
  first.registry.line = 'good';
  await pass(3 * SECOND);
  assert.deepEqual(first.told, ['doubtful', 'lost']);
  assert.equal(second.standing, 'held');
});

test('a place that is given back is taken at the next look', async () => {
  const { base, make, pass, record } = place();
  const first = make('first');
  await pass(10 * SECOND);
  const second = make('second');
  await pass(SECOND);
  const tenure = must(first.tenure);
  await onVirtualTime(base, tenure[Symbol.asyncDispose]());
  await onVirtualTime(base, tenure[Symbol.asyncDispose]());
  assert.equal(tenure.standing, 'lost');
  assert.equal((await record()).holder, '');
  await pass(1.2 * SECOND);
  assert.equal(second.standing, 'held');
  assert.deepEqual([(await record()).holder, must(second.tenure).term], ['second', 2]);
});

test('a registry that was away for everybody costs nobody the place', async () => {
  const { make, pass } = place();
  const first = make('first');
  await pass(SECOND);
  const second = make('second');
  for (let round = 0; round < 5; round++) {
    await pass(10 * SECOND);
    for (const { registry } of [first, second]) registry.line = 'away';
    await pass(60 * SECOND);
    assert.equal(first.standing, 'doubtful');
    for (const { registry } of [first, second]) registry.line = 'good';
  }
  await pass(30 * SECOND);
  assert.equal(first.standing, 'held');
  assert.deepEqual(first.told.slice(0, 2), ['doubtful', 'held']);
  assert.equal(second.tenure, undefined);
});

test('renewals whose answers are lost still count as beats for the others, and are found again', async () => {
  const { make, pass } = place();
  const first = make('first');
  await pass(SECOND);
  const second = make('second');
  await pass(10 * SECOND);
  for (let round = 0; round < 20; round++) {
    first.registry.line = 'mute';
    await pass(2 * SECOND);
    first.registry.line = 'good';
    await pass(2 * SECOND);
  }
  assert.equal(first.standing, 'held');
  assert.equal(second.tenure, undefined);
});

test('a take that was lost on the way is waited out like any other holder', async () => {
  const { make, pass, record } = place();
  const first = make('first');
  first.registry.writeLine = 'mute';
  await pass(SECOND);
  first.registry.writeLine = undefined;
  await pass(2 * GONE_MS);
  assert.equal(first.standing, 'held');
  assert.equal((await record()).term, 2);
});

test('a namesake is somebody else', async () => {
  const { make, pass } = place();
  const first = make('twin');
  await pass(SECOND);
  const second = make('twin');
  await pass(SECOND);
  first.registry.line = 'away';
  await pass(2 * GONE_MS);
  assert.equal(second.standing, 'held');
  first.registry.line = 'good';
  await pass(3 * SECOND);
  assert.deepEqual([first.standing, second.standing], ['lost', 'held']);
});

test('a place whose taking took long is in doubt from the beginning', async () => {
  const { base, state, pass } = place();
  await pass(60 * SECOND);
  const record = { holder: 'slow', term: 1, beat: 0 };
  const revision = await state.put(KEY, record, 0);
  const options = { registry: state, clock: base, key: KEY, beatMs: BEAT_MS, goneAfterMs: GONE_MS };
  const askedMs = base.nowMs() - 0.8 * GONE_MS;
  const tenure = new Tenure({ ...options, onStanding: () => {} }, { record, revision, askedMs });
  assert.equal(tenure.standing, 'doubtful');
  await pass(2 * BEAT_MS);
  assert.equal(tenure.standing, 'held');
  await onVirtualTime(base, tenure[Symbol.asyncDispose]());
});

test('who waits can be told to stop', async () => {
  const { base, make, pass } = place();
  make('first');
  await pass(SECOND);
  const second = make('second');
  await pass(5 * SECOND);
  second.stop.abort(new Error('enough'));
  const vacant = second.holder.whenVacant(second.stop.signal);
  await assert.rejects(onVirtualTime(base, vacant), /enough/);
  await pass(2 * GONE_MS);
  assert.equal(second.tenure, undefined);
});

test('whatever fails: never two that are sure, terms only grow, and somebody holds it in the end', async () => {
  const step = fc.record({
    who: fc.nat({ max: 2 }),
    line: fc.constantFrom<Line>('good', 'mute', 'away'),
    ms: fc.integer({ min: 50, max: 9_000 }),
  });
  const rate = fc.double({ min: 0.95, max: 1.05, noNaN: true });
  const skews = fc.array(fc.record({ rate, wallMs: fc.nat() }), { minLength: 3, maxLength: 3 });
  let takeovers = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), skews, fc.nat(), async (steps, skews, seed) => {
      const { base, make, pass, record } = place();
      const enter = (i: number) =>
        make(`c${i}`, { clock: skewedClock(base, must(skews[i])), seed: seed + i });
      const candidates = [0, 1, 2].map(enter);
      let term = 0;
      const look = async (ms: number) => {
        for (let passed = 0; passed < ms; passed += 200) {
          await pass(200);
          const sure = candidates.filter(({ standing }) => standing === 'held');
          assert.ok(sure.length <= 1, `${sure.length} are sure`);
          // A loser comes back as a new process.
          for (const [i, { standing }] of candidates.entries())
            if (standing === 'lost') candidates[i] = enter(i);
        }
        const found = await record();
        assert.ok(found.term >= term);
        takeovers += found.term > term ? 1 : 0;
        term = found.term;
      };
      await look(SECOND);
      for (const { who, line, ms } of steps) {
        must(candidates[who]).registry.line = line;
        await look(ms);
      }
      for (const { registry } of candidates) registry.line = 'good';
      await look(4 * GONE_MS);
      assert.equal(candidates.filter(({ standing }) => standing === 'held').length, 1);
    }),
    { numRuns: 40 },
  );
  assert.ok(takeovers > 20, `${takeovers}`);
});

test('a watch calls nobody gone whose record it has not seen unchanged for that long', () => {
  const step = fc.record({
    waitMs: fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 1_200 }) }, fc.nat({ max: 10_000 })),
    tookMs: fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 50 }) }, fc.nat({ max: 5_000 })),
    beats: fc.nat({ max: 15 }).map((n) => n === 0),
  });
  let gone = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const watch = new HolderWatch({ goneAfterMs: GONE_MS, gapMsMax: GONE_MS / 2 });
      const readings: { revision: number; askedMs: number; answeredMs: number }[] = [];
      let nowMs = 0;
      let revision = 1;
      for (const { waitMs, tookMs, beats } of steps) {
        if (beats) revision++;
        const askedMs = nowMs + waitMs;
        nowMs = askedMs + tookMs;
        const reading = { revision, askedMs, answeredMs: nowMs };
        readings.push(reading);
        // The twin: back through all readings, as long as they are of one revision and close to each other.
        let first = reading;
        for (const earlier of readings.toReversed().slice(1)) {
          if (earlier.revision !== revision || first.answeredMs - earlier.answeredMs > GONE_MS / 2) break;
          first = earlier;
        }
        const expected = askedMs - first.answeredMs >= GONE_MS;
        gone += expected ? 1 : 0;
        assert.equal(watch.isGone(reading), expected);
      }
    }),
    { numRuns: 1_000 },
  );
  assert.ok(gone > 20, `${gone}`);
});
