import assert from 'node:assert/strict';
import * as net from 'node:net';
import { test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { findHolder, listeningInodes, requireFreePort } from './port.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 31337 1 0000 100 0 0 10 0
   1: 0100007F:1538 0100007F:C350 01 00000000:00000000 00:00000000 00000000   101        0 31338 1 0000 100 0 0 10 0
   2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31339 1 0000 100 0 0 10 0
`;

test('only listeners on that port', () => {
  assert.deepEqual(listeningInodes(TABLE, 5432), ['31337']);
  assert.deepEqual(listeningInodes(TABLE, 80), ['31339']);
  assert.deepEqual(listeningInodes(TABLE, 81), []);
});

test(
  'a port in use is refused with the name of its holder',
  { skip: process.platform !== 'linux' },
  async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const { port } = server.address() as net.AddressInfo;
    const ask = () => requireFreePort({ address: '127.0.0.1', port, clock: systemClock });
    try {
      assert.match(findHolder(port) ?? '', new RegExp(`\\(pid ${process.pid}\\)$`));
      await assert.rejects(ask(), (error: Error & { code: string }) => {
        assert.equal(error.code, 'DATABASE_PORT_USED');
        return error.message.includes(`127.0.0.1:${port} is in use by`);
      });
    } finally {
      await new Promise((done) => server.close(done));
    }
    await ask();
  },
);

test('an address that is not this machine’s', async () => {
  const ask = requireFreePort({ address: '192.0.2.1', port: 5432, clock: systemClock });
  await assert.rejects(ask, { code: 'DATABASE_ADDRESS_REFUSED' });
});
