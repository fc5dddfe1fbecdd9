import assert from 'node:assert/strict';
import { test } from 'node:test';
import { switchSql } from './session-settings.ts';

const of = (settings: Record<string, string>) => new Map(Object.entries(settings));

test('nothing to do between equals', () => {
  assert.equal(switchSql(of({ a: '1', role: 'r' }), of({ a: '1', role: 'r' })), '');
});

test('only the difference is sent', () => {
  assert.equal(
    switchSql(of({ a: '1', b: '2', 'x.y': '3' }), of({ a: '1', b: "it's" })),
    `reset "x"."y";select pg_catalog.set_config('b', 'it''s', false)`,
  );
});

test('as another role nothing else could be changed, so the role comes off first and on last', () => {
  const sql = switchSql(of({ role: 'r', a: '1' }), of({ role: 'r', a: '2' })).split(';');
  assert.deepEqual(sql.slice(0, 2), ['reset session authorization', 'reset role']);
  assert.match(sql.at(-1) ?? '', /'role', 'r'/);
});
