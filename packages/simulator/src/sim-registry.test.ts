/** What a process sees of a registry that is away, and what becomes of the change that it asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCoded, settled, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { RegistryWeather, type RegistryFault } from './registry-weather.ts';
import { SimProcess } from './sim-process.ts';
import { simRegistry } from './sim-registry.ts';

const KEY = 'volumes/one';

function start() {
  const clock = new VirtualClock();
  const stored = new MemoryRegistry();
  const weather = new RegistryWeather();
  const process = new SimProcess('w1', clock);
  const registry = simRegistry({
    registry: stored,
    process,
    clock,
    weather,
    delayMs: () => 1,
    onPut: () => {},
  });
  const pass = async (ms: number) => {
    await settled();
    for (const endMs = clock.nowMs() + ms; clock.runNext(endMs);) await settled();
  };
  const put = () => {
    const seen: { outcome?: number | 'in doubt' } = {};
    registry.put(KEY, 'mine', 0).then(
      (revision) => (seen.outcome = revision),
      (error: unknown) => {
        assert.ok(isCoded(error, 'REGISTRY_UNAVAILABLE'));
        assert.equal(error.detail['inDoubt'], true);
        seen.outcome = 'in doubt';
      },
    );
    return seen;
  };
  const value = async () => (await stored.get(KEY))?.value;
  return { weather, registry, stored, pass, put, value };
}

const EXPECTED: readonly [RegistryFault, { whileAway: unknown; whenBack: unknown }][] = [
  ['before', { whileAway: undefined, whenBack: undefined }],
  ['after', { whileAway: 'mine', whenBack: 'mine' }],
  ['late', { whileAway: undefined, whenBack: 'mine' }],
];

for (const [fault, { whileAway, whenBack }] of EXPECTED) {
  test(`away for longer than the patience lasts, '${fault}': nobody knows what became of the change`, async () => {
    const { weather, pass, put, value } = start();
    const back = weather.away('w1', fault);
    const seen = put();
    await pass(1_000);
    assert.equal(seen.outcome, 'in doubt');
    assert.equal(await value(), whileAway);
    back();
    await pass(10);
    assert.equal(await value(), whenBack);
  });

  test(`back in time, '${fault}': the change is made once, and its answer comes`, async () => {
    const { weather, pass, put, value } = start();
    const back = weather.away(undefined, fault);
    const seen = put();
    await pass(100);
    assert.equal(seen.outcome, undefined);
    back();
    await pass(10);
    assert.equal(seen.outcome, 1);
    assert.equal(await value(), 'mine');
  });
}

test('a change that is late is none where somebody else was first', async () => {
  const { weather, stored, pass, put, value } = start();
  const back = weather.away('w1', 'late');
  put();
  await pass(1_000);
  await stored.put(KEY, 'theirs', 0);
  back();
  await pass(10);
  assert.equal(await value(), 'theirs');
});

test('it is away for those who are named, and who only reads is not in doubt', async () => {
  const { weather, registry, pass, put } = start();
  weather.away('w2', 'before');
  const seen = put();
  await pass(10);
  assert.equal(seen.outcome, 1);
  weather.away('w1', 'after');
  const reading = assert.rejects(
    registry.get(KEY),
    (error) => isCoded(error) && error.detail['inDoubt'] === false,
  );
  await pass(1_000);
  await reading;
});
