/**
 * A client of etcd that costs little: Put by gRPC over node:http2, its one message written by hand
 * (etcdserverpb.PutRequest: bytes key = 1, bytes value = 2; gRPC over HTTP/2 frames it with a flag and a length).
 */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';

const REQUEST = {
  ':method': 'POST',
  ':path': '/etcdserverpb.KV/Put',
  'content-type': 'application/grpc',
  te: 'trailers',
};
const PUT_MS_MAX = 10_000;
const LENGTH_DELIMITED = 2;

export class EtcdPuts implements Disposable {
  readonly #sessions: ClientHttp2Session[];
  #next = 0;

  constructor(options: { endpoint: string; connections: number }) {
    const { endpoint, connections } = options;
    this.#sessions = Array.from({ length: connections }, () => connect(endpoint));
    // What breaks a connection breaks each request on it.
    for (const session of this.#sessions) session.on('error', () => {});
  }

  /** Resolves when etcd has it on a majority's disks. */
  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    const session = this.#sessions[this.#next++ % this.#sessions.length];
    return new Promise((resolve, reject) => {
      if (!session) throw new Error('no connection to etcd');
      const stream = session.request(REQUEST);
      let status: string | undefined;
      const take = (headers: IncomingHttpHeaders) => {
        const given = headers['grpc-status'];
        if (given !== undefined) status = String(given);
      };
      stream.setTimeout(PUT_MS_MAX, () => stream.destroy(new Error('etcd does not answer')));
      stream.on('response', take);
      stream.on('trailers', take);
      stream.on('error', reject);
      stream.on('close', () =>
        status === '0' ? resolve() : reject(new Error(`etcd refused a put: gRPC status ${status}`)),
      );
      stream.resume();
      stream.end(framed(Buffer.concat([field(1, key), field(2, value)])));
    });
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
  }
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | LENGTH_DELIMITED, ...varint(bytes.length)]), bytes]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
