import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, SeededRandom } from '@rokka/kernel';
import {
  HEDGE_DELAY_MS_INITIAL,
  HEDGE_DELAY_MS_MAX,
  PROBE_EVERY,
  ReadPoints,
  ReadRouter,
} from './read-routing.ts';

const KINDS = ['full', 'tail', 'full', 'tail', 'full', 'tail'] as const;
const at = (...scls: (number | undefined)[]) =>
  scls.map((scl) => (scl === undefined ? undefined : asLsn(scl)));
const query = (scls: (number | undefined)[], requiredScl = 100, sample = 0.99) => ({
  scls: at(...scls),
  requiredScl: asLsn(requiredScl),
  sample,
});

function routerWith(...latencies: number[]): ReadRouter {
  const router = new ReadRouter(KINDS);
  for (const [index, latencyMs] of latencies.entries()) router.measured(index * 2, latencyMs, 1);
  return router;
}

test('the fastest full member that is complete is asked', () => {
  const router = routerWith(3, 1, 2);
  assert.deepEqual(router.choose(query([100, 100, 100, 100, 100, 100])), { member: 2 });
  assert.deepEqual(router.choose(query([100, 100, 99, 100, 100, 100])), { member: 4 });
  assert.deepEqual(router.choose(query([100, 100, undefined, 100, 99, 100])), { member: 0 });
});

test('tails are never asked, and where no full member is complete nobody is', () => {
  const router = routerWith(3, 1, 2);
  assert.equal(router.choose(query([99, 100, 99, 100, undefined, 100])), undefined);
});

test('a member that was never measured is tried early', () => {
  assert.deepEqual(routerWith(3, 1).choose(query([100, 0, 100, 0, 100, 0])), { member: 4 });
});

test('now and then one of the others is asked as well, each of them in its turn', () => {
  const router = routerWith(3, 1, 2);
  const probes = new Map<number | undefined, number>();
  const reads = PROBE_EVERY * 100;
  for (let i = 0; i < reads; i++) {
    const choice = router.choose(query([100, 0, 100, 0, 100, 0], 100, i / reads));
    assert.equal(choice?.member, 2);
    probes.set(choice?.probe, (probes.get(choice?.probe) ?? 0) + 1);
  }
  assert.deepEqual(
    probes,
    new Map([
      [0, 50],
      [4, 50],
      [undefined, reads - 100],
    ]),
  );
  assert.deepEqual(router.choose(query([100, 0], 100, 0)), { member: 0 }, 'nobody else to ask');
});

test('where the fastest has much before it, whoever is through soonest is asked', () => {
  const router = new ReadRouter(KINDS);
  for (const [member, pageMs] of [
    [0, 0.25],
    [2, 0.125],
    [4, 0.375],
  ] as const)
    for (let i = 0; i < 100; i++) router.measured(member, pageMs, 1);
  const choose = () => router.choose(query([100, 0, 100, 0, 100, 0]))?.member ?? -1;
  const chosen = Array.from({ length: 11 }, () => {
    const member = choose();
    router.asked(member, 1);
    return member;
  });
  // Half a millisecond of work waits at the fastest before anybody else is asked, and then about as much at each of them.
  assert.deepEqual(chosen, [2, 2, 2, 2, 2, 0, 4, 0, 0, 2, 4]);
  for (let i = 0; i < 5; i++) router.answered(2, 1);
  assert.equal(choose(), 2, 'it has answered most of it');
});

test('a member that refuses at once, or is slow, is not asked because it has nothing before it', () => {
  const router = routerWith(0.25, 0.25, 0.25);
  router.failed(4);
  const chosen = Array.from({ length: 200 }, () => {
    const member = router.choose(query([100, 0, 100, 0, 100, 0]))?.member ?? -1;
    router.asked(member, 1);
    return member;
  });
  assert.deepEqual(new Set(chosen), new Set([0, 2]));
});

test('a read of many pages is as much work as they are', () => {
  const router = routerWith(0.1, 0.2, 0.3);
  assert.equal(router.asked(0, 16), 16);
  assert.equal(router.choose(query([100, 0, 100, 0, 100, 0]))?.member, 2);
  // Sixteen pages in 1.6 ms are no slower than one in 0.1.
  router.measured(0, 1.6, 16);
  router.answered(0, 16);
  for (let i = 0; i < 5; i++) router.asked(0, 1);
  for (let i = 0; i < 60; i++) router.measured(2, 20, 1);
  for (let i = 0; i < 60; i++) router.measured(4, 20, 1);
  assert.equal(
    router.choose(query([100, 0, 100, 0, 100, 0]))?.member,
    0,
    'the others would take longer all the same',
  );
  assert.throws(() => router.answered(0, 6), /no more is answered/);
});

test('the second choice is the fastest of those not asked', () => {
  const router = routerWith(3, 1, 2);
  const scls = at(100, 100, 100, 100, 100, 100);
  const second = (...asked: number[]) => router.second({ scls, requiredScl: asLsn(100), asked });
  assert.deepEqual([second(2), second(2, 4), second(2, 4, 0)], [4, 0, undefined]);
});

test('a member that refuses quickly is not fast, and comes back when it answers', () => {
  const router = routerWith(3, 1, 2);
  router.failed(2);
  assert.deepEqual(router.choose(query([100, 0, 100, 0, 100, 0])), { member: 4 });
  for (let i = 0; i < 50; i++) router.failed(2);
  assert.ok(router.latencyMs(2) <= 10_000);
  for (let i = 0; i < 60; i++) router.measured(2, 1, 1);
  assert.deepEqual(router.choose(query([100, 0, 100, 0, 100, 0])), { member: 2 });
});

test('a slow spell is forgotten: the average follows what is measured', () => {
  const router = routerWith(1, 2);
  for (let i = 0; i < 10; i++) router.measured(0, 50, 1);
  assert.ok(router.latencyMs(0) > 40);
  for (let i = 0; i < 40; i++) router.measured(0, 1, 1);
  assert.ok(router.latencyMs(0) < 1.1);
});

test('the hedge delay is about the 95th percentile of recent latencies', () => {
  const router = new ReadRouter(KINDS);
  assert.equal(router.hedgeDelayMs, HEDGE_DELAY_MS_INITIAL);
  const random = new SeededRandom(1);
  for (let i = 0; i < 512; i++) router.measured(0, 1 + random.below(1000) / 100, 1);
  assert.ok(router.hedgeDelayMs > 9.5 && router.hedgeDelayMs < 11, `${router.hedgeDelayMs}`);
  for (let i = 0; i < 128; i++) router.measured(0, 60_000, 1);
  assert.equal(router.hedgeDelayMs, HEDGE_DELAY_MS_MAX);
});

test('the PGMRPL is the least open read point, and never above the VDL', () => {
  const points = new ReadPoints();
  assert.equal(points.pgmrpl(asLsn(50)), 50);
  points.open(asLsn(50));
  points.open(asLsn(50));
  points.open(asLsn(60));
  assert.equal(points.pgmrpl(asLsn(70)), 50);
  points.close(asLsn(50));
  assert.equal(points.pgmrpl(asLsn(70)), 50);
  points.close(asLsn(50));
  assert.equal(points.pgmrpl(asLsn(70)), 60);
  points.close(asLsn(60));
  assert.equal(points.pgmrpl(asLsn(70)), 70);
  assert.throws(() => points.close(asLsn(60)));
  assert.throws(() => points.open(asLsn(10)), 'the VDL does not fall');
});
