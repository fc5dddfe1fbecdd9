/**
 * How a machine without a certificate becomes a member. One TLS 1.3 connection, three lines of JSON:
 *
 *   server   {"rokka":"join","version":1,"timeMs":…}
 *   client   {"tokenId":…,"zone":…,"request":PEM,"proof":base64url}
 *   server   {"certificate":PEM,"authorities":PEM,"zone":…}  or  {"error":{"code":…,"message":…}}
 *
 * The client knows the server by the pin in its token before it sends a byte. The proof is a signature, by the token's
 * secret, of this very TLS session (RFC 9266) and of the request: whoever overhears, relays or repeats it has nothing.
 */
import { createHash } from 'node:crypto';
import type * as tls from 'node:tls';
import { ByteWriter, Deferred } from '@rokka/kernel';
import { trustErrors } from './errors.ts';

export const JOIN_VERSION = 1;
/** Line of a client; its request alone may have 16 KiB, in JSON a little more. */
export const JOIN_REQUEST_BYTES_MAX = 20 * 1024;
/** Line of a server. */
export const JOIN_ANSWER_BYTES_MAX = 64 * 1024;

/** What no other TLS session has. Asked for while the socket stands. */
export const channelBinding = (socket: tls.TLSSocket): Buffer =>
  socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));

/** What the secret signs. Both sides of one TLS session make the same bytes, nobody else does. */
export const provenBytes = (
  binding: Uint8Array,
  said: { tokenId: string; zone: string; request: string },
): Uint8Array =>
  new ByteWriter()
    .string('rokka-join-v1')
    .bytes(binding)
    .string(said.tokenId)
    .string(said.zone)
    .bytes(createHash('sha256').update(said.request).digest())
    .finish();

export const writeLine = (socket: tls.TLSSocket, value: unknown): void =>
  void socket.write(`${JSON.stringify(value)}\n`);

/**
 * The next line as a JSON object; the sides take turns, so nothing may follow it. The caller destroys the socket at its
 * deadline.
 *
 * @throws TRUST_JOIN_BROKEN where it is longer than `bytesMax`, is no object, or the connection ends
 */
export async function readLine(
  socket: tls.TLSSocket,
  options: { peer: string; bytesMax: number },
): Promise<Record<string, unknown>> {
  const { peer, bytesMax } = options;
  const broken = (why: string) => trustErrors.TRUST_JOIN_BROKEN([peer, why]);
  const line = new Deferred<Buffer>();
  const parts: Buffer[] = [];
  let length = 0;
  const onData = (data: Buffer) => {
    parts.push(data);
    length += data.length;
    const end = data.indexOf(0x0a);
    if (length > bytesMax) line.reject(broken(`a line of more than ${bytesMax} bytes came`));
    else if (end >= 0 && end < data.length - 1) line.reject(broken('more came than one line'));
    else if (end >= 0) line.resolve(Buffer.concat(parts));
  };
  const onEnd = () => line.reject(broken('the other side ended it'));
  socket.on('data', onData).once('end', onEnd).once('close', onEnd);
  try {
    return parseObject(await line.promise, broken);
  } finally {
    socket.off('data', onData).off('end', onEnd).off('close', onEnd);
  }
}

function parseObject(line: Buffer, broken: (why: string) => Error): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw broken('what came is no JSON object');
}

/** A string of at most `max` characters. @throws TRUST_JOIN_BROKEN */
export function textOf(
  line: Record<string, unknown>,
  name: string,
  of: { peer: string; max: number },
): string {
  const value = Object.hasOwn(line, name) ? line[name] : undefined;
  if (typeof value === 'string' && value.length <= of.max) return value;
  throw trustErrors.TRUST_JOIN_BROKEN([of.peer, `"${name}" is missing or too long`]);
}
