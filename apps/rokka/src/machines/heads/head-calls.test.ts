/** What a head on a joined machine may ask for: its own volume, what that was made from, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeCall,
  encodeCall,
  type HeadCall,
  OBJECT_BYTES_MAX,
  PIECE_BYTES_MAX,
  rightsTo,
} from './head-calls.ts';

const may = (call: HeadCall) => rightsTo(call, 'vol-1');

test('of the registry: its own volume, and where nodes are', () => {
  for (const key of ['volumes/vol-1', 'archive-ends/vol-1']) {
    assert.equal(may({ what: 'registry-get', key }), 'yes');
    assert.equal(may({ what: 'registry-put', key, value: {}, expected: 1 }), 'yes');
  }
  assert.equal(may({ what: 'registry-list', prefix: 'nodes/' }), 'yes');
  for (const key of [
    'volumes/vol-2',
    'volumes/vol-1/',
    'volumes/',
    'databases/vol-1',
    'nodes/1',
    'listen',
    '',
  ]) {
    assert.equal(may({ what: 'registry-get', key }), 'no', key);
    assert.equal(may({ what: 'registry-put', key, value: {}, expected: 0 }), 'no', key);
  }
  for (const prefix of ['', 'node', 'volumes/', 'iam/', 'databases/', 'tokens/'])
    assert.equal(may({ what: 'registry-list', prefix }), 'no', prefix);
});

test('of the archive: it writes to its own, and reads what its volume was made from', () => {
  const put = (key: string) => may({ what: 'store-put', key, at: 0, total: 1 });
  const read = (key: string) => may({ what: 'store-read', key, at: 0, length: 1 });
  const list = (prefix: string) => may({ what: 'store-list', prefix });
  assert.deepEqual(
    [put('volumes/vol-1/log/1'), read('volumes/vol-1/log/1'), list('volumes/vol-1/')],
    ['yes', 'yes', 'yes'],
  );
  const ifMadeFrom = { ifMadeFrom: 'vol-2' };
  assert.deepEqual(
    [put('volumes/vol-2/log/1'), read('volumes/vol-2/log/1'), list('volumes/vol-2/')],
    ['no', ifMadeFrom, ifMadeFrom],
  );
  for (const key of ['volumes/', 'volumes/vol-1', 'volumes/vol-1/../vol-2/x', '../x', 'volumes//x', ''])
    assert.deepEqual([put(key), read(key), list(key)], ['no', 'no', 'no'], key);
});

test('a call comes as it was sent; what is none is nothing', () => {
  const bytes = Buffer.from('some bytes');
  const call: HeadCall = { what: 'store-put', key: 'volumes/vol-1/x', at: 0, total: bytes.length };
  const said = decodeCall(Buffer.concat(encodeCall(call, [bytes])));
  assert.deepEqual([said?.call, Buffer.from(said?.bytes ?? [])], [call, bytes]);
  const bad: unknown[] = [
    {},
    { what: 'registry-remove', key: 'x' },
    { what: 'registry-get' },
    { what: 'registry-put', key: 'x', value: 1, expected: -1 },
    { what: 'store-put', key: 'x', at: 0, total: OBJECT_BYTES_MAX + 1 },
    { what: 'store-read', key: 'x', at: 0, length: PIECE_BYTES_MAX + 1 },
    { what: 'store-read', key: 'x', at: 0.5, length: 1 },
    null,
  ];
  for (const one of bad)
    assert.equal(decodeCall(Buffer.concat(encodeCall(one))), undefined, JSON.stringify(one));
  assert.equal(decodeCall(new Uint8Array([1, 2])), undefined);
});
