/** Several providers hold as one: what is frozen nests, and what fails is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, settled, VirtualClock } from '@rokka/kernel';
import { CombinedProvider } from './combined-provider.ts';
import type { Coordination } from './coordination.ts';
import { coordinate } from './coordinator.ts';
import { outcomeOf } from './outcome.ts';
import { HOLD_MS_MAX } from './provider.ts';
import { type Behaviours, StandInProvider, StandInWriter } from './testing/stand-ins.ts';

const NOTHING = { strays: [], withoutWriters: false };

function cast(of: { first?: Behaviours; other?: Behaviours } = {}) {
  const clock = new VirtualClock();
  const first = new StandInProvider({ clock, behaviours: of.first, holds: false });
  const other = new StandInProvider({ clock, behaviours: of.other });
  return { clock, first, other, writer: new StandInWriter('w0', { clock }) };
}

async function run({ clock, first, other, writer }: ReturnType<typeof cast>): Promise<Coordination> {
  const provider = new CombinedProvider(first, [other]);
  const course = coordinate({ tiers: [[writer]], provider, clock });
  const isOver = () => Promise.race([course.then(() => true), settled().then(() => false)]);
  while (!(await isOver())) assert.ok(clock.runNext(2_000_000), 'a course ends');
  return course;
}

test('writers are frozen around what is held, and both sets are of it', async () => {
  const players = cast();
  const course = await run(players);
  const { level, set } = outcomeOf(course, NOTHING);
  assert.deepEqual([level, set?.id, set?.also?.length, set?.amiss], ['application', 'set-1', 1, undefined]);
  const { first, other, writer } = players;
  const held = must(other.spans[0]);
  const frozen = must(writer.spans[0]);
  assert.ok(frozen.fromMs < held.fromMs && must(held.toMs) < must(frozen.toMs), 'they nest');
  for (const { cutAtMs } of [first, other])
    assert.ok(held.fromMs <= must(cutAtMs) && must(cutAtMs) <= must(held.toMs));
  for (const { calls } of [first, other]) assert.deepEqual(calls, ['hold', 'snapshot', 'release']);
  // What the first one looks at is not held yet.
  assert.ok(must(first.spans[0]).fromMs < held.fromMs);
  assert.ok(must(must(first.spans[0]).toMs) > must(held.toMs));
});

test('where the first one makes no set there is none', async () => {
  for (const wrong of ['refuse', 'throw', 'hang'] as const) {
    const players = cast({ first: { snapshot: wrong } });
    const course = await run(players);
    assert.deepEqual([course.set, outcomeOf(course, NOTHING).level], [undefined, undefined]);
    assert.equal(players.other.isHeld, false);
  }
});

test('where another one makes none, the first one’s stays and counts for nothing', async () => {
  for (const wrong of ['refuse', 'throw'] as const) {
    const players = cast({ other: { snapshot: wrong } });
    const course = await run(players);
    const { level, set, reasons } = outcomeOf(course, NOTHING);
    assert.deepEqual([level, set?.id, set?.also], ['crash', 'set-1', []]);
    assert.match(
      must(reasons[0]),
      /^provider at snapshot: (Error: it does not want to|TypeError: it has a bug)/,
    );
    assert.equal(players.writer.finished, false);
    assert.equal(players.other.isHeld, false);
  }
});

test('who cannot hold is a veto, and who let go too early a doubt; all are let go', async () => {
  for (const who of ['first', 'other'] as const) {
    const vetoed = cast({ [who]: { hold: 'refuse' } });
    assert.equal((await run(vetoed)).set, undefined);
    assert.deepEqual([vetoed.first.isHeld, vetoed.other.isHeld], [false, false]);
    const doubted = cast({ [who]: { release: 'refuse' } });
    const { level, reasons } = outcomeOf(await run(doubted), NOTHING);
    assert.equal(level, 'crash');
    assert.match(must(reasons[0]), /^provider at release: /);
    assert.deepEqual([doubted.first.isHeld, doubted.other.isHeld], [false, false]);
  }
});

test('whatever hangs, nobody is held for longer than may be', async () => {
  for (const step of ['hold', 'snapshot', 'release'])
    for (const who of ['first', 'other'] as const)
      for (const wrong of ['hang', 'deaf', 'late'] as const) {
        const players = cast({ [who]: { [step]: wrong } });
        const course = await run(players);
        for (const { fromMs, toMs } of players.other.spans)
          assert.ok(must(toMs) - fromMs <= HOLD_MS_MAX, `${who} ${step} ${wrong}`);
        assert.notEqual(outcomeOf(course, NOTHING).level, 'application');
        assert.equal(players.writer.isFrozen, false);
      }
});
