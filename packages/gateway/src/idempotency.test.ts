import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idempotencyMark, judgeRepetition, type IdempotencyMark } from './idempotency.ts';

const mark = (input: object): IdempotencyMark => idempotencyMark(input)!;

test('a repetition is the same call, whatever the order of its members', () => {
  const first = mark({ ClientToken: 't', Size: 8, Tags: [{ Key: 'a', Value: 'b' }], Zone: undefined });
  const again = mark({ Tags: [{ Value: 'b', Key: 'a' }], Size: 8, ClientToken: 't' });
  assert.equal(judgeRepetition(undefined, first), 'new');
  assert.equal(judgeRepetition(first, again), 'same');
});

test('the same token with other parameters is a mistake of the client', () => {
  const first = mark({ ClientToken: 't', Size: 8, At: new Date(1), Data: Buffer.of(1), Names: ['a', 'b'] });
  const others = [
    { Size: 9 },
    { Size: '8' },
    { At: new Date(2) },
    { Data: Buffer.of(2) },
    { Names: ['b', 'a'] },
    { Names: ['a,b'] },
    { More: null },
  ];
  for (const other of others) {
    const changed = mark({
      ClientToken: 't',
      Size: 8,
      At: new Date(1),
      Data: Buffer.of(1),
      Names: ['a', 'b'],
      ...other,
    });
    assert.equal(judgeRepetition(first, changed), 'mismatch', JSON.stringify(other));
  }
  assert.equal(judgeRepetition(first, mark({ ClientToken: 'u', Size: 8 })), 'new');
});

test('a call without a token is never a repetition', () => {
  assert.equal(idempotencyMark({ Size: 8 }), undefined);
  assert.equal(idempotencyMark({ ClientToken: '', Size: 8 }), undefined);
  assert.equal(idempotencyMark({ clientRequestToken: 'c' }, 'clientRequestToken')?.token, 'c');
});
