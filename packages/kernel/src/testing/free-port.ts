/** Ports for what a test or a benchmark starts. */
import { once } from 'node:events';
import * as net from 'node:net';

/** Below those that Linux gives to whoever asks for any (32768 and more): one drawn there may be gone when it is used. */
const FROM = 10_000;
/** Programs of tests that run beside each other have a block each, by their process ids. */
const BLOCK = 20;
const BLOCKS = 1100;
const HOST = '127.0.0.1';

let drawn = 0;

/**
 * A TCP port of 127.0.0.1 at which nobody listens, and which was not given by one of the last calls, fewer than a block has, nor in a
 * program beside whose process id leaves another rest.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < BLOCK; tries++) {
    const port = FROM + (process.pid % BLOCKS) * BLOCK + (drawn++ % BLOCK);
    if (await isFree(port)) return port;
  }
  throw new Error(`no port of ${BLOCK} is free`);
}

/** Ports, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer().listen({ port, host: HOST, exclusive: true });
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
