/**
 * Writing to a socket what the kernel takes at once, without the stream that Node lays over it: that costs more than the system call, and
 * a storage node answers thousands of ships a second.
 *
 * The descriptor is an inner door of Node that may close one day: then nothing is taken, and all goes by the stream.
 */
import * as fs from 'node:fs';
import type * as net from 'node:net';

/** More parts than one system call takes are the stream's. */
const PARTS_MAX = 64;

interface WithHandle extends net.Socket {
  readonly _handle?: { readonly fd?: number } | null;
}

/**
 * Answers how many bytes of the parts, one after the other, the kernel has taken; the rest, and whatever is wrong with the socket, is for
 * the stream. Nothing that was written before may still lie in it.
 */
export function writeAtOnce(socket: net.Socket, parts: readonly Uint8Array[]): number {
  const fd = (socket as WithHandle)._handle?.fd ?? -1;
  if (fd < 0 || socket.connecting || socket.writableLength > 0 || parts.length > PARTS_MAX) return 0;
  try {
    return parts.length === 1 ? fs.writeSync(fd, parts[0]) : fs.writevSync(fd, parts);
  } catch {
    // It is full, or has ended; the stream waits, or says so.
    return 0;
  }
}
