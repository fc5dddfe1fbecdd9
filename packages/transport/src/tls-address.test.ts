import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTlsAddress, parseTlsAddress } from './tls-address.ts';

test('names, both kinds of IP address, and whom one expects there', () => {
  for (const [address, host, port, id] of [
    ['localhost:80', 'localhost', 80, undefined],
    ['10.0.0.7:0', '10.0.0.7', 0, undefined],
    ['[::1]:65535', '::1', 65535, undefined],
    ['n1@[2001:db8::7]:4100', '2001:db8::7', 4100, 'n1'],
    ['n-1.a@node-1.example.:4100', 'node-1.example.', 4100, 'n-1.a'],
  ] as const) {
    assert.deepEqual(parseTlsAddress(address), { host, port, id });
    assert.ok(address.endsWith(formatTlsAddress(host, port)));
  }
});

test('everything else is refused in words', () => {
  for (const address of [
    '',
    'localhost',
    ':80',
    'localhost:',
    'localhost:65536',
    'localhost:8o',
    '::1:80',
    '[::1]',
    '[localhost]:80',
    '@localhost:80',
    'n 1@localhost:80',
    'a b:80',
    '-a:80',
    'a@b@c:80',
    '/run/node.sock',
    'tls://a:80',
  ])
    assert.throws(() => parseTlsAddress(address), { code: 'TRANSPORT_BAD_ADDRESS' }, address);
});
