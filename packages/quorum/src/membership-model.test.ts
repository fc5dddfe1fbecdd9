/**
 * Every interleaving, up to a bound, of writers that never learn of their end, recoveries that race, and a membership that
 * changes under both (testing/model). The bounds here take seconds; docs/model.md has the wide ones and how to run them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bounds, DEFAULT_BOUNDS } from './testing/model/bounds.ts';
import { deadEnd } from './testing/model/liveness.ts';
import { mutants } from './testing/model/mutants.ts';
import { search, type SearchResult } from './testing/model/search.ts';
import { describeTrace } from './testing/model/trace.ts';
import { walks } from './testing/model/walks.ts';

const LIVE_EVERY = 1000;

/** Explores all there is within the bounds, and looks here and there whether anything still works. */
function explored(of: Partial<Bounds>): SearchResult {
  const bounds = { ...DEFAULT_BOUNDS, ...of };
  let looked = 0;
  const result = search({
    bounds,
    examine(cores, state, index) {
      if (index % LIVE_EVERY !== 0) return;
      const first = ++looked % 3;
      for (const lost of [[], [first, 5 - first]])
        assert.equal(deadEnd(cores, bounds, state, lost), undefined, `state ${index} without ${lost.join()}`);
    },
  });
  const { violation, cores } = result;
  const trace = violation ? describeTrace(cores, bounds, violation.trace) : [];
  assert.equal(violation?.message, undefined, `${violation?.message}\n${trace.join('\n')}`);
  assert.ok(result.complete && looked > 5);
  return result;
}

describe('all states', () => {
  test('one writer, one member replaced, finished or taken back, acks as late as they like', () => {
    // An exact number is a promise about the model: whoever changes what may happen sees it here.
    assert.equal(explored({ openings: 1, gossip: 'newcomers' }).states, 179_098);
  });
  test('a second opening beside the first writer, which never learns of it', () => {
    assert.equal(explored({ changes: 0, acks: 'at once', hints: true }).states, 72_430);
  });
  test('the same where answers to fences get lost and three members are tails', () => {
    const bounds = {
      changes: 0,
      acks: 'at once',
      gossip: 'newcomers',
      group: 'full-tail',
      lostAnswers: true,
    } as const;
    assert.equal(explored(bounds).states, 46_508);
  });
});

test('the first states of both at once: a recovery in the middle of a replacement, members forced out', () => {
  const bounds = { ...DEFAULT_BOUNDS, acks: 'at once', gossip: 'newcomers', force: true } as const;
  const { violation, complete, depth } = search({ bounds, statesMax: 150_000 });
  assert.equal(violation?.message, undefined);
  // Deep enough for a write, a replacement, an opening, its fences and its decision.
  assert.ok(!complete && depth >= 13, `levels to ${depth}`);
});

test('the first states of a recovery in the middle of a replacement that gives the newcomer up', () => {
  const bounds = { ...DEFAULT_BOUNDS, acks: 'at once', gossip: 'newcomers', giveUp: true } as const;
  const { violation, complete, depth } = search({ bounds, statesMax: 150_000 });
  assert.equal(violation?.message, undefined);
  assert.ok(!complete && depth >= 13, `levels to ${depth}`);
});

for (const group of ['all-full', 'full-tail'] as const)
  test(`the first states of two replacements at once under one writer, ${group}`, () => {
    const bounds: Bounds = { ...DEFAULT_BOUNDS, openings: 1, changes: 2, acks: 'at once', group };
    const { violation, complete, depth } = search({ bounds, statesMax: 60_000 });
    assert.equal(violation?.message, undefined);
    // Deep enough for a write on a quorum, two replacements, and the end of both.
    assert.ok(!complete && depth >= 9, `levels to ${depth}`);
  });

test('the first states of a recovery in the middle of a replacement, three full and three tail', () => {
  const bounds = { ...DEFAULT_BOUNDS, acks: 'at once', gossip: 'newcomers', group: 'full-tail' } as const;
  const { violation, complete, depth } = search({ bounds, statesMax: 100_000 });
  assert.equal(violation?.message, undefined);
  // Deep enough for a write on all three full ones, a replacement, an opening, its fences and its decision.
  assert.ok(!complete && depth >= 10, `levels to ${depth}`);
});

test('random walks with everything switched on', () => {
  const all = { force: true, giveUp: true, lostAnswers: true, hints: true, overtaking: true };
  const bounds = { ...DEFAULT_BOUNDS, openings: 4, changes: 3, records: 2, ...all };
  const { violation, taken } = walks({ bounds, seed: 1, count: 40, stepsMax: 120 });
  assert.equal(violation?.message, undefined);
  for (const kind of ['serve', 'force', 'give up', 'finish', 'revert', 'copy'] as const)
    assert.ok((taken[kind] ?? 0) > 0, `no ${kind}`);
});

describe('a protocol with one rule broken falls, by the fewest steps', () => {
  for (const { name, rules, bounds, breaks } of mutants) {
    if (!breaks) continue;
    test(name, () => {
      const { violation, cores } = search({ bounds, rules, statesMax: 100_000 });
      assert.equal(violation?.invariant, breaks);
      const trace = describeTrace(cores, bounds, violation?.trace ?? []);
      assert.equal(trace.length, (violation?.trace.length ?? 0) - 1, 'every step has a name');
    });
  }
});

test('with OR reads, ABG misses what CDEF held before G came (aurora.md §8)', () => {
  const orReads = mutants.find(({ name }) => name.startsWith('a read of either set is enough'));
  assert.ok(orReads);
  const { violation, cores } = search({ bounds: orReads.bounds, rules: orReads.rules });
  const trace = describeTrace(cores, orReads.bounds, violation?.trace ?? []).join('\n');
  // Four of six have the record, a replacement begins, and the newcomer is made known without it.
  assert.match(trace, /is to be replaced/);
  assert.match(trace, /promised 1/);
});
