/** Ports for what a test or a benchmark starts. */
import { once } from 'node:events';
import * as net from 'node:net';
import { assert } from '../assert.ts';

/** Below those that Linux gives to whoever asks for any (32768 and more): one drawn there may be gone when it is used. */
const FROM = 10_000;
const BLOCK = 20;
const BLOCKS = 1100;
const HOST = '127.0.0.1';

let own: Promise<number> | undefined;
let drawn = 0;

/**
 * A TCP port of 127.0.0.1 at which nobody listens, and which was not given by one of the last calls, fewer than a block has. No other
 * program that asks in this way is given it as long as this one runs, also while what listened there is being started again.
 */
export async function freePort(): Promise<number> {
  const first = await (own ??= claimBlock());
  for (let tries = 1; tries < BLOCK; tries++) {
    const port = first + 1 + (drawn++ % (BLOCK - 1));
    if (await isFree(port)) return port;
  }
  throw new Error(`no port of ${BLOCK - 1} is free`);
}

/** Ports, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

/** The first of so many, one after the other, of which no other call gives one. */
export async function freePortRow(count: number): Promise<number> {
  assert(count < BLOCK, 'a row is in one block');
  for (let tries = 0; tries < BLOCK; tries++) {
    const from = (await claimBlock()) + 1;
    const free = await Promise.all(Array.from({ length: count }, (_, at) => isFree(from + at)));
    if (free.every(Boolean)) return from;
  }
  throw new Error(`no ${count} ports in a row are free`);
}

/** The first port of a block is given to nobody: who listens there has the block, and gives it back by ending, however that comes about. */
async function claimBlock(): Promise<number> {
  for (let tries = 0; tries < BLOCKS; tries++) {
    const first = FROM + ((process.pid + tries) % BLOCKS) * BLOCK;
    const claim = net.createServer().listen({ port: first, host: HOST, exclusive: true });
    try {
      await once(claim, 'listening');
    } catch {
      continue;
    }
    claim.unref();
    return first;
  }
  throw new Error(`no block of ${BLOCKS} is free`);
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
