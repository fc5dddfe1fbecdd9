/**
 * What a lost answer may not do: hide a write that took effect, or make one count twice. Clients that race through a
 * network of faults to a fake etcd, whose history is the judge; and single stories, step by step.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { isCoded, must, type Random, SeededRandom, VirtualClock } from '@rokka/kernel';
import { encodeVersion } from './etcd-entry.ts';
import { openEtcdRegistry } from './etcd-registry.ts';
import type { Registry } from './registry.ts';
import { FakeEtcd, type Fate, type FakeEvent, faultyPost } from './testing/fake-etcd.ts';
import { onVirtualTime } from './testing/virtual-time.ts';

const PREFIX = 'rokka/test/';
const KEYS = ['a', 'b'];
const CLIENTS = 4;
const CALLS = 25;
const LATE_MS_MAX = 20_000;

/** Remembers the write id that was drawn last: with it a call is found in etcd's history. */
class ListeningRandom extends SeededRandom implements Random {
  last = '';
  override hex(count: number): string {
    return (this.last = super.hex(count));
  }
}

type Outcome = 'done' | 'conflict' | 'nothing done' | 'unknown';

interface Call {
  readonly key: string;
  readonly expected: number;
  readonly id: string;
  readonly outcome: Outcome;
  readonly revision?: number;
}

function outcomeOf(error: unknown): Outcome {
  assert.ok(isCoded(error), String(error));
  if (error.code === 'REGISTRY_CONFLICT') return 'conflict';
  assert.match(error.code, /^REGISTRY_(UNAVAILABLE|REFUSED|FAILED)$/);
  return error.code === 'REGISTRY_FAILED' || error.detail['inDoubt'] === true ? 'unknown' : 'nothing done';
}

/** Puts, removals and creations at revisions that this client has seen, some of them stale. */
async function work(
  registry: Registry,
  options: { random: SeededRandom; ids: ListeningRandom; etcd: FakeEtcd },
) {
  const { random, ids, etcd } = options;
  const calls: Call[] = [];
  const known = new Map<string, number>();
  for (let i = 0; i < CALLS; i++) {
    const key = random.pick(KEYS);
    if (random.chance(0.7)) await read(registry, { key, known, etcd });
    const expected = random.chance(0.1) ? 0 : (known.get(key) ?? 0);
    const removes = expected > 0 && random.chance(0.3);
    try {
      const change = removes
        ? registry.remove(key, expected)
        : registry.put(key, random.below(100), expected);
      const revision = await change;
      if (revision) known.set(key, revision);
      calls.push({ key, expected, id: ids.last, outcome: 'done', ...(revision && { revision }) });
    } catch (error) {
      calls.push({ key, expected, id: ids.last, outcome: outcomeOf(error) });
    }
    if (random.chance(0.05)) etcd.compact(etcd.revision - random.below(3));
  }
  return calls;
}

/** What is read is no older than what stood there when the reading began. */
async function read(
  registry: Registry,
  options: { key: string; known: Map<string, number>; etcd: FakeEtcd },
) {
  const { key, known, etcd } = options;
  const before = etcd.versions(PREFIX + key).at(-1);
  try {
    const found = await registry.get(key);
    known.set(key, found?.revision ?? 0);
    const since = etcd.versions(PREFIX + key).filter(({ revision }) => revision >= (before?.revision ?? 0));
    if (found) assert.ok(since.some(({ revision }) => revision === found.revision));
    else assert.ok(before === undefined || since.some(isGone));
  } catch (error) {
    assert.ok(isCoded(error) && /UNAVAILABLE|REFUSED/.test(error.code), String(error));
  }
}

const isGone = (event: FakeEvent | undefined) => event === undefined || event.value.startsWith('rokka1 gone');

/** The dumb twin: knows the whole history, and says of each call what it must have been told. */
function judge(etcd: FakeEtcd, { key, expected, id, outcome, revision }: Call): void {
  const versions = etcd.versions(PREFIX + key);
  const ours = versions.filter((event) => event.value.split(' ')[2] === id);
  const told = `${outcome}: put at ${expected}, ${JSON.stringify(versions)}`;
  assert.ok(ours.length <= 1, told);
  if (outcome === 'conflict' || outcome === 'nothing done') assert.equal(ours.length, 0, told);
  if (outcome === 'done') assert.equal(ours.length, 1, told);
  if (ours.length === 0) return;
  const before = versions[versions.indexOf(must(ours[0])) - 1];
  if (expected > 0) assert.equal(before?.revision, expected, told);
  else assert.ok(isGone(before), told);
  if (revision !== undefined) assert.equal(ours[0]?.revision, revision, told);
}

test('whatever is lost, each call is told the truth about itself', { timeout: 110_000 }, async () => {
  const outcomes = new Map<Outcome, number>();
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const etcd = new FakeEtcd();
      const clock = new VirtualClock();
      const random = new SeededRandom(seed);
      const client = async (i: number): Promise<Call[]> => {
        const ids = new ListeningRandom(seed + i);
        const post = faultyPost({ etcd, clock, random, lateMsMax: LATE_MS_MAX });
        const endpoints = ['http://m0', 'http://m1', 'http://m2'];
        // Little patience, so that some calls run out of it in the midst of things.
        const limits = { requestTimeoutMs: 200, patienceMs: 400 };
        const registry = await patiently(() =>
          openEtcdRegistry({ endpoints, prefix: PREFIX, clock, random: ids, post, ...limits }),
        );
        return work(registry, { random, ids, etcd });
      };
      const all = Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i + 1)));
      const calls = (await onVirtualTime(clock, all)).flat();
      // Whatever still lies in a socket is carried out now.
      clock.advanceTo(clock.nowMs() + LATE_MS_MAX);
      for (const call of calls) {
        judge(etcd, call);
        outcomes.set(call.outcome, (outcomes.get(call.outcome) ?? 0) + 1);
      }
    }),
    { numRuns: 60, ...fixedSeed() },
  );
  for (const outcome of ['done', 'conflict', 'nothing done', 'unknown'] as const)
    assert.ok((outcomes.get(outcome) ?? 0) > 20, `${outcome}: ${JSON.stringify([...outcomes])}`);
});

/** ROKKA_SEED repeats a run that fast-check has reported. */
function fixedSeed(): { seed?: number } {
  const seed = process.env['ROKKA_SEED'];
  return seed === undefined ? {} : { seed: Number(seed) };
}

/** Opening may be refused in such weather too. */
async function patiently<T>(open: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      if (attempt === 20) throw error;
    }
  }
}

/** One client whose requests meet these fates in turn, the rest of them plain. */
async function story(fates: Fate[], run: (at: { etcd: FakeEtcd; registry: Registry }) => Promise<void>) {
  const etcd = new FakeEtcd();
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  let armed = false;
  const fate = () => (armed ? (fates.shift() ?? 'plain') : 'plain');
  const post = faultyPost({ etcd, clock, random, lateMsMax: 1, fate });
  const opened = openEtcdRegistry({ endpoints: ['http://m0'], prefix: PREFIX, clock, random, post });
  const registry = await onVirtualTime(clock, opened);
  armed = true;
  await onVirtualTime(clock, run({ etcd, registry }));
  assert.deepEqual(fates, [], 'the story was told to its end');
}

const live = (key: string, text: string) => encodeVersion(key, 'f'.repeat(32), text);

test('a write whose answer was lost is found and not made twice', () =>
  story(['answer lost'], async ({ etcd, registry }) => {
    assert.equal(await registry.put('a', 1, 0), 2);
    assert.equal(etcd.events.length, 1);
  }));

test('a write that others have written over since has still succeeded', () =>
  story(['answer lost', 'unsent'], async ({ etcd, registry }) => {
    const put = registry.put('a', 1, 0);
    while (etcd.events.length === 0) await setImmediate();
    etcd.write(`${PREFIX}a`, live('a', '2'));
    etcd.write(`${PREFIX}other`, live('other', '2'));
    etcd.write(`${PREFIX}a`, live('a', '3'));
    assert.equal(await put, 2);
    assert.equal((await registry.get('a'))?.value, 3);
  }));

test('a creation that was removed since is not made again', () =>
  story(['answer lost'], async ({ etcd, registry }) => {
    const put = registry.put('a', 1, 0);
    while (etcd.events.length === 0) await setImmediate();
    etcd.write(`${PREFIX}a`, encodeVersion('a', 'e'.repeat(32), undefined));
    assert.equal(await put, 2);
    assert.equal(await registry.get('a'), undefined);
  }));

test('where history was compacted away, nobody pretends to know', () =>
  story(['answer lost'], async ({ etcd, registry }) => {
    const put = registry.put('a', 1, 0);
    while (etcd.events.length === 0) await setImmediate();
    etcd.compact(etcd.write(`${PREFIX}a`, live('a', '2')));
    await assert.rejects(put, { code: 'REGISTRY_FAILED' });
  }));

test('a conflict is a conflict though an answer was lost before', () =>
  story(['request lost'], async ({ etcd, registry }) => {
    const put = registry.put('a', 1, 0);
    etcd.write(`${PREFIX}a`, live('a', '2'));
    await assert.rejects(put, /a is at revision 2, not 0/);
  }));

test('"no space" after the deed is success, before the deed a refusal', () =>
  story(['no space, carried out', 'plain', 'no space, not carried out'], async ({ registry }) => {
    const revision = await registry.put('a', 1, 0);
    await assert.rejects(registry.put('a', 2, revision), /space exceeded.*defrag/);
    assert.deepEqual(await registry.get('a'), { key: 'a', value: 1, revision });
  }));

test('a removal whose answer was lost is found, and the revision of a removal is nobody’s', () =>
  story(['plain', 'answer lost'], async ({ etcd, registry }) => {
    const revision = await registry.put('a', 1, 0);
    await registry.remove('a', revision);
    assert.equal(etcd.events.length, 2);
    const conflict = /a is at revision 0, not 3/;
    await assert.rejects(registry.put('a', 2, etcd.revision), conflict);
    await assert.rejects(registry.remove('a', etcd.revision), conflict);
    assert.equal(await registry.put('a', 2, 0), 4);
  }));
