/** Asks a PostgreSQL, as pg_isready(1) does, whether it takes connections: a startup packet, and what comes back first. */
import * as net from 'node:net';
import { deadline, Deferred, isCoded, type Clock } from '@rokka/kernel';

/** `absent`: nobody answers. `starting`: it answers that it is starting, recovering or stopping. */
export type Readiness = 'accepting' | 'starting' | 'absent';

/** ERRCODE_CANNOT_CONNECT_NOW: what clients are told of a server that starts, recovers or stops. */
export const CANNOT_CONNECT_NOW = '57P03';
const PROTOCOL = 196_608;

export function socketPath(directory: string, port: number): string {
  return `${directory}/.s.PGSQL.${port}`;
}

export async function probeReadiness(options: {
  path: string;
  timeoutMs: number;
  clock: Clock;
}): Promise<Readiness> {
  const answer = new Deferred<Readiness>();
  const socket = net.connect({ path: options.path });
  let received = Buffer.alloc(0);
  socket.on('connect', () => socket.write(startupPacket()));
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    const readiness = readAnswer(received);
    if (readiness !== undefined) answer.resolve(readiness);
  });
  socket.on('error', () => answer.resolve('absent'));
  socket.on('close', () => answer.resolve('absent'));
  try {
    const { timeoutMs: ms, clock } = options;
    return await deadline(answer.promise, { what: `an answer from ${options.path}`, ms, clock });
  } catch (error) {
    // It listens and is too busy to answer.
    if (isCoded(error)) return 'starting';
    throw error;
  } finally {
    socket.destroy();
  }
}

/** An authentication request means that a session was opened; an error other than 57P03 comes from one, too. */
export function readAnswer(bytes: Buffer): Readiness | undefined {
  const type = bytes.length > 0 ? String.fromCharCode(bytes[0] ?? 0) : undefined;
  if (type === undefined) return undefined;
  if (type !== 'E') return 'accepting';
  if (bytes.length < 5 || bytes.length < 1 + bytes.readInt32BE(1)) return undefined;
  const fields = bytes.toString('utf8', 5).split('\0');
  return fields.includes(`C${CANNOT_CONNECT_NOW}`) ? 'starting' : 'accepting';
}

function startupPacket(): Buffer {
  const body = Buffer.from('user\0postgres\0database\0postgres\0\0');
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(PROTOCOL, 4);
  return Buffer.concat([head, body]);
}
