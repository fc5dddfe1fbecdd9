/**
 * Whether an address is free, and who has it where not. Asked before PostgreSQL starts: with several addresses it would go
 * on without those that it cannot have, and two servers that are each process 1 of their namespace take one another's unix
 * socket for a dead one of their own.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import { deadline, Deferred, isCoded, type Clock } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';

const LISTEN = '0A';
const TIMEOUT_MS = 5000;

/** @throws DATABASE_PORT_USED, DATABASE_ADDRESS_REFUSED */
export async function requireFreePort(options: {
  address: string;
  port: number;
  clock: Clock;
}): Promise<void> {
  const { address, port, clock } = options;
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const opened = new Deferred<void>();
  const server = net.createServer();
  server.once('error', (cause: NodeJS.ErrnoException) => {
    const { code = '', message } = cause;
    opened.reject(
      code === 'EADDRINUSE'
        ? databaseErrors.DATABASE_PORT_USED([where, findHolder(port) ?? 'another program'], { cause })
        : databaseErrors.DATABASE_ADDRESS_REFUSED([where, code || message], { cause }),
    );
  });
  server.listen({ port, ...(address === '*' ? {} : { host: address }), exclusive: true }, () => {
    opened.resolve();
  });
  try {
    await deadline(opened.promise, { what: `trying ${where}`, ms: TIMEOUT_MS, clock });
  } finally {
    await new Promise<void>((done) => server.close(() => done()));
  }
}

/** The same as a question. */
export async function isPortFree(of: { address: string; port: number; clock: Clock }): Promise<boolean> {
  try {
    await requireFreePort(of);
    return true;
  } catch (error) {
    if (isCoded(error, 'DATABASE_PORT_USED') || isCoded(error, 'DATABASE_ADDRESS_REFUSED')) return false;
    throw error;
  }
}

/** The program that listens on a TCP port, such as `postgres (pid 812)`, as far as /proc lets us see. */
export function findHolder(port: number): string | undefined {
  const inodes = new Set(
    ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(readText(table), port)),
  );
  if (inodes.size === 0) return undefined;
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const sockets = listDirectory(`/proc/${pid}/fd`).map((fd) => readLink(`/proc/${pid}/fd/${fd}`));
    if (sockets.some((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '')))
      return `${readText(`/proc/${pid}/comm`).trim()} (pid ${pid})`;
  }
  return undefined;
}

/** Columns of proc(5), /proc/net/tcp: slot, local address:port, remote, state, …, the tenth is the inode. */
export function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) && fields[3] === LISTEN)
    .map((fields) => fields[9] ?? '');
}

/** Processes end while we look, and those of others may be closed to us: then there is nothing to see. */
function seen<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

const readText = (file: string) => seen(() => fs.readFileSync(file, 'utf8'), '');
const readLink = (file: string) => seen(() => fs.readlinkSync(file), '');
const listDirectory = (directory: string) => seen(() => fs.readdirSync(directory), []);
