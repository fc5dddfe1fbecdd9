import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { expired, setIdOf, storesOf } from './set-directories.ts';

const set = (at: number, level: 'application' | 'crash' = 'application') => ({
  id: setIdOf(at * 1_000, '00000000'),
  level,
});

test('sets are called after their time', () => {
  assert.equal(setIdOf(1_700_000_000_123, '01abcdef'), '20231114T221320Z-01abcdef');
});

test('the oldest go, but not the last one that is consistent', () => {
  const [one, two, three] = [set(1), set(2, 'crash'), set(3, 'crash')];
  assert.deepEqual(expired([three, one, two], 3), []);
  assert.deepEqual(expired([three, one, two], 2), [two.id]);
  assert.deepEqual(expired([three, one, two], 1), [three.id, two.id]);
  assert.deepEqual(expired([one, two, three, set(4)], 2), [two.id, one.id]);
  assert.deepEqual(expired([two, three], 1), [two.id]);
});

test('whatever there is, as many stay as shall, the newest and one that is consistent', () => {
  const random = new SeededRandom(7);
  for (let round = 0; round < 200; round++) {
    const sets = Array.from({ length: random.below(8) }, (_, at) =>
      set(at, random.chance(0.4) ? 'application' : 'crash'),
    );
    const keep = 1 + random.below(6);
    const gone = expired(sets, keep);
    const left = sets.filter(({ id }) => !gone.includes(id));
    assert.equal(left.length, Math.min(keep, sets.length));
    assert.equal(
      left.some(({ level }) => level === 'application'),
      sets.some(({ level }) => level === 'application'),
    );
    if (keep > 1) assert.ok(sets.length === 0 || left.includes(sets[sets.length - 1] ?? set(0)));
  }
});

test('only directories that a set can have are taken from its record', () => {
  const at = (original: string, copy: string) => ({
    mountPoint: '/srv',
    type: 'ext4',
    device: '/dev/loop3',
    bytes: 1,
    original,
    copy,
  });
  const fileSystems = [
    at('/images/a', '/images/.rokka-snapshots/x/a'),
    at('/images/b', '/images/.rokka-snapshots/x/b'),
    at('/other/c', '/etc/x/c'),
  ];
  const record = { version: 1 as const, id: 'x', at: '', level: 'crash' as const, fileSystems };
  assert.deepEqual(storesOf(record), ['/images/.rokka-snapshots']);
  assert.deepEqual(storesOf(undefined), []);
});
