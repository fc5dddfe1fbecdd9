import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { deskAddress, formatListen, nodeListenAddress, parseListen } from './listen-address.ts';

test('a host alone has the usual port; the other ports are counted from it', () => {
  const listen = parseListen('db1.example.org');
  assert.deepEqual(listen, { host: 'db1.example.org', port: 7600 });
  assert.equal(formatListen(listen), 'db1.example.org:7600');
  assert.equal(deskAddress(listen), 'db1.example.org:7601');
  assert.equal(nodeListenAddress(listen, 6), 'db1.example.org:7607');
});

test('addresses of both kinds, with and without a port', () => {
  assert.deepEqual(parseListen('10.0.0.7:9000'), { host: '10.0.0.7', port: 9000 });
  assert.deepEqual(parseListen('fd00::7'), { host: 'fd00::7', port: 7600 });
  assert.deepEqual(parseListen('[fd00::7]:9000'), { host: 'fd00::7', port: 9000 });
  assert.equal(formatListen(parseListen('[fd00::7]:9000')), '[fd00::7]:9000');
});

test('what nobody could connect to is refused', () => {
  for (const text of ['', ':7600', '0.0.0.0', '[::]:7600', '::', 'host:0', 'host:60001', 'a b', 'n1@host:1'])
    assert.throws(
      () => parseListen(text),
      (error) => isCoded(error, 'ROKKA_BAD_VALUE'),
      text,
    );
});
