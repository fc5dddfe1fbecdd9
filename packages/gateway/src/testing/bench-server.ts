/**
 * The gateway that the benchmark asks: a process as lean as the real one, with services that answer from memory. It says where it
 * listens, then at each message what it has used.
 */
import { flushCompileCache } from 'node:module';
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

const send = (message: Started | Usage) => void process.send?.(message);

const gateway = await openGateway({
  services: testServices(),
  credentials: { find: async (id) => (id === ALICE.accessKeyId ? ALICE : undefined) },
  authorizer: { decide: async () => 'allowed' },
  audit: { record: async () => {} },
  clock: systemClock,
  random: systemRandom,
  log: (line) => console.error(line),
  port: 0,
});
// As the real one's does when it is ready.
flushCompileCache();
process.on('message', () => {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  send({ rssBytes: rss, heapBytes: heapUsed, cpuMs: (user + system) / 1000 });
});
process.on('disconnect', () => process.exit(0));
send({ port: gateway.port, startMs: performance.now() });
