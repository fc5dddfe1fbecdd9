/**
 * The gateway that the benchmark asks: a process as lean as the real one, with services that answer from memory. With `floor` it is
 * a server of Node's that answers a constant of the same size, below which nothing comes on this machine at this moment. It
 * says where it listens, then at each message what it has used.
 */
import * as http from 'node:http';
import { once } from 'node:events';
import { flushCompileCache } from 'node:module';
import type { AddressInfo } from 'node:net';
import { systemClock, systemRandom } from '@rokka/kernel';
import { openGateway } from '../gateway.ts';
import { ALICE } from './identity.ts';
import { testServices } from './services.ts';

export interface Started {
  readonly port: number;
  /** From the start of the process. */
  readonly startMs: number;
}

export interface Usage {
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly cpuMs: number;
}

/** As much as ten clusters are. */
const ANSWER_BYTES = 6_000;

const send = (message: Started | Usage) => void process.send?.(message);

async function openReal(): Promise<number> {
  const gateway = await openGateway({
    services: testServices(),
    credentials: { find: async (id) => (id === ALICE.accessKeyId ? ALICE : undefined) },
    authorizer: { decide: async () => 'allowed' },
    audit: { record: async () => {}, usedSignatures: () => [] },
    clock: systemClock,
    random: systemRandom,
    log: (line) => console.error(line),
    port: 0,
  });
  return gateway.port;
}

async function openFloor(): Promise<number> {
  const answer = 'x'.repeat(ANSWER_BYTES);
  const server = http.createServer({ noDelay: true }, (incoming, outgoing) => {
    incoming.resume().once('end', () => {
      outgoing.writeHead(200, { 'content-length': ANSWER_BYTES }).end(answer);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

const port = await (process.argv[2] === 'floor' ? openFloor() : openReal());
// As the real one's does when it is ready.
flushCompileCache();
process.on('message', () => {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  send({ rssBytes: rss, heapBytes: heapUsed, cpuMs: (user + system) / 1000 });
});
process.on('disconnect', () => process.exit(0));
send({ port, startMs: performance.now() });
