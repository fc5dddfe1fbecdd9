import { once } from 'node:events';
import * as net from 'node:net';
import { systemClock, systemRandom } from '@rokka/kernel';
import { networkConformance } from './testing/network-conformance.ts';
import { TestAuthority } from './testing/test-authority.ts';
import { formatTlsAddress } from './tls-address.ts';
import { tlsNetwork } from './tls-network.ts';

/** An address on which nobody listens: the kernel does not give a port again soon. */
async function freeAddress(host: string): Promise<string> {
  const server = net.createServer().listen({ host, port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return formatTlsAddress(host, port);
}

for (const host of ['127.0.0.1', '::1', 'localhost']) {
  networkConformance(`tls network, ${host}`, async () => {
    const authority = await TestAuthority.make();
    const identity = await authority.issue();
    return {
      network: tlsNetwork({ clock: systemClock, random: systemRandom, identity: () => identity }),
      address: await freeAddress(host),
      async [Symbol.asyncDispose]() {},
    };
  });
}
