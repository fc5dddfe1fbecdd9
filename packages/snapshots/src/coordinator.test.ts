/** The course of a snapshot: every fault at every transition, and many at once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { must, SeededRandom, settled, VirtualClock } from '@rokka/kernel';
import type { Coordination } from './coordination.ts';
import { coordinate, LIMITS } from './coordinator.ts';
import { outcomeOf } from './outcome.ts';
import { HOLD_MS_MAX } from './provider.ts';
import {
  type Behaviour,
  type Behaviours,
  randomBehaviours,
  StandInProvider,
  StandInWriter,
} from './testing/stand-ins.ts';

const GRACE_MS = 1_000;
const NOTHING = { strays: [], withoutWriters: false };
/** The longest course there can be: everybody late at everything. */
const COURSE_MS_MAX = 2_000_000;

interface Cast {
  clock: VirtualClock;
  tiers: StandInWriter[][];
  provider: StandInProvider;
}

function cast(of: { writers?: Behaviours[]; provider?: Behaviours; holds?: boolean } = {}): Cast {
  const clock = new VirtualClock();
  const writers = (of.writers ?? [{}, {}, {}]).map(
    (behaviours, at) => new StandInWriter(`w${at}`, { clock, behaviours }),
  );
  const [first, ...others] = writers;
  const tiers = [others, [must(first)]];
  return { clock, tiers, provider: new StandInProvider({ clock, behaviours: of.provider, holds: of.holds }) };
}

async function run(
  { clock, tiers, provider }: Cast,
  of: { stopAtMs?: number; turns?: Coordination[] } = {},
): Promise<Coordination> {
  const controller = new AbortController();
  const { stopAtMs } = of;
  if (stopAtMs !== undefined) clock.after(stopAtMs, () => controller.abort(new Error('enough')));
  const course = coordinate({
    tiers,
    provider,
    clock,
    signal: controller.signal,
    onTurn: (now) => of.turns?.push(now),
  });
  const isOver = () => Promise.race([course.then(() => true), settled().then(() => false)]);
  while (!(await isOver())) assert.ok(clock.runNext(COURSE_MS_MAX), 'a course ends');
  return course;
}

/** What holds of every course, whatever went wrong in it. */
function assertSound({ tiers, provider }: Cast, course: Coordination): void {
  const writers = tiers.flat();
  for (const writer of writers) {
    assert.equal(writer.isFrozen, false, `${writer.id} goes on`);
    assert.equal(writer.finished !== undefined, writer.calls.includes('prepare'), 'who prepared finishes');
    if (writer.calls.includes('freeze'))
      assert.ok(writer.calls.includes('thaw') || writer.calls.includes('abort'), `${writer.id} is let go`);
    for (const { fromMs, toMs } of writer.spans)
      assert.ok(must(toMs) - fromMs <= LIMITS.freezeMs + 3 * LIMITS.thawMs + 8 * GRACE_MS);
  }
  assert.equal(provider.isHeld, false);
  for (const { fromMs, toMs } of provider.spans) assert.ok(must(toMs) - fromMs <= HOLD_MS_MAX);
  const { level, set } = outcomeOf(course, NOTHING);
  assert.equal(level === undefined, set === undefined);
  if (level !== 'application') return;
  const cutAtMs = must(provider.cutAtMs);
  for (const { spans, id } of writers) {
    const held = spans.some(({ fromMs, toMs }) => fromMs <= cutAtMs && cutAtMs <= must(toMs));
    assert.ok(held, `${id} was frozen when it was cut`);
  }
  if (provider.holds) {
    const [span] = provider.spans;
    assert.ok(
      must(span).fromMs <= cutAtMs && cutAtMs <= must(must(span).toMs),
      'it was held when it was cut',
    );
  }
}

test('a course that goes well, step by step', async () => {
  const players = cast();
  const turns: Coordination[] = [];
  const course = await run(players, { turns });
  const steps = turns.map(({ step }) => step).filter((step, at, all) => step !== all[at - 1]);
  assert.deepEqual(steps, [
    'identify',
    'prepare',
    'freeze',
    'hold',
    'snapshot',
    'release',
    'thaw',
    'finish',
    'done',
  ]);
  assert.deepEqual(players.provider.calls, ['hold', 'snapshot', 'release']);
  for (const writer of players.tiers.flat()) {
    assert.deepEqual(writer.calls, ['identify', 'prepare', 'freeze', 'thaw', 'finish']);
    assert.equal(writer.finished, true);
  }
  assertSound(players, course);
  const outcome = outcomeOf(course, NOTHING);
  assert.deepEqual([outcome.level, outcome.reasons, outcome.set?.id], ['application', [], 'set-1']);
  assert.deepEqual(
    outcome.writers.map(({ id, state, frozen }) => [id, state, frozen?.position]),
    ['w1', 'w2', 'w0'].map((id) => [id, 'STABLE', '0/42']),
  );
  const [front, back] = players.tiers.map((tier) => must(must(tier[0]).spans[0]));
  assert.ok(must(front).fromMs < must(back).fromMs && must(front.toMs) > must(back.toMs), 'tiers nest');
});

const FAILED_AT: Record<string, string> = {
  identify: 'FAILED_AT_IDENTIFY',
  prepare: 'FAILED_AT_PREPARE_SNAPSHOT',
  freeze: 'FAILED_AT_FREEZE',
  thaw: 'FAILED_AT_THAW',
  finish: 'FAILED_AT_POST_SNAPSHOT',
};
const WRONGS: Behaviour[] = ['refuse', 'hang', 'deaf', 'late', 'throw'];

for (const step of Object.keys(FAILED_AT))
  describe(`a writer at ${step}`, () => {
    for (const wrong of WRONGS)
      for (const who of [0, 1])
        test(`${who === 0 ? 'of the last tier' : 'of the first tier'}: ${wrong}`, async () => {
          const behaviours: Behaviours[] = [{}, {}, {}];
          behaviours[who] = { [step]: wrong };
          const players = cast({ writers: behaviours });
          const course = await run(players);
          assertSound(players, course);
          const { set, level, reasons, writers } = outcomeOf(course, NOTHING);
          const writer = must(writers.find(({ id }) => id === `w${who}`));
          assert.equal(writer.state, FAILED_AT[step]);
          assert.ok(must(writer.why).length > 0);
          const isVeto = ['identify', 'prepare', 'freeze'].includes(step);
          assert.equal(set === undefined, isVeto, 'a veto means that there is none');
          assert.equal(players.provider.calls.length > 0, !isVeto);
          assert.equal(level, isVeto ? undefined : step === 'thaw' ? 'crash' : 'application');
          if (step !== 'finish') assert.match(must(reasons[0]), new RegExp(`^w${who} at ${step}: `));
        });
  });

for (const step of ['hold', 'snapshot', 'release'])
  describe(`the provider at ${step}`, () => {
    for (const wrong of WRONGS)
      test(wrong, async () => {
        const players = cast({ provider: { [step]: wrong } });
        const course = await run(players);
        assertSound(players, course);
        const { set, level, reasons } = outcomeOf(course, NOTHING);
        assert.match(must(reasons[0]), new RegExp(`^provider at ${step}: `));
        const isThere = step === 'release' || (step === 'snapshot' && wrong === 'late');
        assert.deepEqual([set !== undefined, level], [isThere, isThere ? 'crash' : undefined]);
        assert.ok(players.tiers.flat().every(({ finished }) => finished === false));
      });
  });

test('a hold that ended by itself is a doubt', async () => {
  const players = cast({ provider: { snapshot: 'late' } });
  const course = await run(players);
  assert.ok(must(players.provider.spans[0]?.toMs) - must(players.provider.spans[0]?.fromMs) <= HOLD_MS_MAX);
  assert.equal(outcomeOf(course, NOTHING).level, 'crash');
});

test('whoever wants it no more stops it at any moment, and all go on', async () => {
  for (let stopAtMs = 0; stopAtMs < 70; stopAtMs += 1) {
    const players = cast();
    const course = await run(players, { stopAtMs });
    assertSound(players, course);
    const { veto, set } = course;
    if (veto) assert.equal(veto.who, 'requester');
    else assert.ok(set, 'too late to be stopped');
  }
});

test('the level is the least that anybody reached', async () => {
  const clock = new VirtualClock();
  const writer = new StandInWriter('app', { clock, level: 'filesystem' });
  const provider = new StandInProvider({ clock });
  const players = { clock, provider, tiers: [[writer]] };
  const course = await run(players);
  assert.equal(outcomeOf(course, NOTHING).level, 'filesystem');
  const well = await run(cast());
  const strays = ['cat (pid 7), which writes /volume/x'];
  const lesser = outcomeOf(well, { ...NOTHING, strays });
  assert.deepEqual(
    [lesser.level, lesser.reasons],
    ['filesystem', ['no writer speaks for cat (pid 7), which writes /volume/x']],
  );
  assert.equal(outcomeOf(well, { ...NOTHING, withoutWriters: true }).level, 'filesystem');
  const nobody = await run({ ...cast(), tiers: [] });
  assert.equal(outcomeOf(nobody, NOTHING).level, 'crash');
});

test('whatever goes wrong, and however much of it', async () => {
  const levels = new Set<string | undefined>();
  for (let seed = 0; seed < 400; seed++) {
    const random = new SeededRandom(seed);
    const writers = Array.from({ length: 1 + random.below(4) }, () => randomBehaviours(random, 'writer'));
    const players = cast({
      writers,
      provider: randomBehaviours(random, 'provider'),
      holds: random.chance(0.5),
    });
    const course = await run(players, random.chance(0.2) ? { stopAtMs: random.below(80) } : {});
    assertSound(players, course);
    levels.add(outcomeOf(course, NOTHING).level);
  }
  assert.deepEqual(levels, new Set([undefined, 'crash', 'application']));
});
