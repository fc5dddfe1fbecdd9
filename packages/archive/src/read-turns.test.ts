/** Reads take turns, and one that fails hands its turn on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deferred, must, settled } from '@rokka/kernel';
import { ReadTurns } from './read-turns.ts';

test('as many are on their way as may be, the others in their order, after one that has failed as well', async () => {
  const begun: string[] = [];
  const ends = new Map<string, Deferred<Uint8Array>>();
  const read = (key: string) => {
    begun.push(key);
    const end = new Deferred<Uint8Array>();
    ends.set(key, end);
    return end.promise;
  };
  const turns = new ReadTurns({ read }, 2);
  const asked = ['a', 'b', 'c', 'd'].map((key) => turns.read(key, 0, 1));
  const outcomes = Promise.allSettled(asked);
  await settled();
  assert.deepEqual(begun, ['a', 'b']);
  must(ends.get('b')).reject(new Error('away'));
  await settled();
  assert.deepEqual(begun, ['a', 'b', 'c']);
  must(ends.get('a')).resolve(new Uint8Array(1));
  await settled();
  const late = turns.read('e', 0, 1);
  await settled();
  assert.deepEqual(begun, ['a', 'b', 'c', 'd'], 'who comes late waits too');
  for (const key of ['c', 'd']) must(ends.get(key)).resolve(new Uint8Array(1));
  await settled();
  must(ends.get('e')).resolve(new Uint8Array(1));
  assert.equal((await late).length, 1);
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
});
