/**
 * Sockets that read into the same memory again and again. Node gives each read of an ordinary socket 64 KiB of its own, however
 * little arrives, and collects the heap whenever so much memory has come to be. A storage node has thousands of reads a second.
 *
 * Node offers it for sockets that connect. One that a server has accepted is taken over by its handle, an inner door of Node that may
 * close one day: then it stays the ordinary socket that it is.
 */
import * as net from 'node:net';
import type { StreamOrigin } from './stream-network.ts';

/** About what the kernel keeps for one socket. */
const READ_BYTES = 128 * 1024;

export type ReadingSocket = Pick<StreamOrigin, 'socket' | 'onChunk'>;

/** A socket as a server has accepted it. */
interface Accepted extends net.Socket {
  _handle?: unknown;
}

export function connectReading(path: string): ReadingSocket {
  const { onread, onChunk } = reusedMemory();
  return { socket: net.connect({ path, onread }), onChunk };
}

/** @param accepted of a server with `pauseOnConnect`: nothing was read from it yet */
export function readAccepted(accepted: net.Socket): ReadingSocket {
  const shell = accepted as Accepted;
  const handle = shell._handle;
  if (!handle) {
    accepted.resume();
    return { socket: accepted };
  }
  shell._handle = null;
  const { onread, onChunk } = reusedMemory();
  const socket = new net.Socket({ handle, onread } as unknown as net.SocketConstructorOpts);
  // The server counts, and waits for, the socket that it made.
  socket.once('close', () => accepted.destroy());
  return { socket, onChunk };
}

function reusedMemory() {
  let take: ((chunk: Buffer) => void) | undefined;
  const callback = (count: number, buffer: Uint8Array) => {
    take?.(Buffer.from(buffer.buffer, buffer.byteOffset, count));
    return true;
  };
  const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback };
  return { onread, onChunk: (listener: (chunk: Buffer) => void) => void (take = listener) };
}
