/** Builds requests as the kernel would, and takes replies apart, for tests. */
import { FuseSession, type FuseSessionOptions } from '../session.ts';
import { IN_HEADER, OPCODE, OUT_HEADER } from '../protocol.ts';
import { TinyHandler } from './tiny-handler.ts';

export interface RequestFields {
  unique?: bigint;
  nodeId?: number;
  uid?: number;
  gid?: number;
  body?: Buffer;
}

export function encodeRequest(opcode: number, fields: RequestFields = {}): Buffer {
  const { unique = 2n, nodeId = 1, uid = 0, gid = 0, body = Buffer.alloc(0) } = fields;
  const header = Buffer.alloc(IN_HEADER.BYTES);
  header.writeUInt32LE(IN_HEADER.BYTES + body.length, IN_HEADER.LENGTH);
  header.writeUInt32LE(opcode, IN_HEADER.OPCODE);
  header.writeBigUInt64LE(unique, IN_HEADER.UNIQUE);
  header.writeBigUInt64LE(BigInt(nodeId), IN_HEADER.NODE_ID);
  header.writeUInt32LE(uid, IN_HEADER.UID);
  header.writeUInt32LE(gid, IN_HEADER.GID);
  header.writeUInt32LE(4321, IN_HEADER.PID);
  return Buffer.concat([header, body]);
}

export const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, i * 4);
  return bytes;
};

export const u64 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), i * 8);
  return bytes;
};

export const text = (...names: string[]): Buffer =>
  Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');

/** The body of WRITE: struct fuse_write_in and the data. */
export function writeBody(
  offset: number,
  data: Buffer,
  options: { writeFlags?: number; flags?: number } = {},
): Buffer {
  const { writeFlags = 0, flags = 0 } = options;
  return Buffer.concat([u64(0, offset), u32(data.length, writeFlags), u64(0), u32(flags, 0), data]);
}

/** The body of READ, READDIR and READDIRPLUS: struct fuse_read_in. */
export const readBody = (offset: number, size: number): Buffer =>
  Buffer.concat([u64(0, offset), u32(size, 0), u64(0), u32(0, 0)]);

export interface Reply {
  unique: bigint;
  errno: number;
  body: Buffer;
}

export function decodeReply(bytes: Buffer): Reply {
  return {
    unique: bytes.readBigUInt64LE(OUT_HEADER.UNIQUE),
    errno: Math.abs(bytes.readInt32LE(OUT_HEADER.ERROR)),
    body: bytes.subarray(OUT_HEADER.BYTES),
  };
}

/** A session over a TinyHandler, with what it sent and what it told. */
export class SessionBench {
  readonly handler = new TinyHandler();
  readonly sent: Reply[] = [];
  readonly told: string[] = [];
  readonly session: FuseSession;
  #unique = 0n;

  constructor(options: Partial<FuseSessionOptions> = {}) {
    this.session = new FuseSession({
      handler: this.handler,
      cache: 'direct',
      send: (bytes, length) => this.sent.push(decodeReply(Buffer.from(bytes.subarray(0, length)))),
      onFailure: (error) => this.told.push(`failed: ${(error as Error).message}`),
      onFull: () => this.told.push('full'),
      onRoom: () => this.told.push('room'),
      ...options,
    });
  }

  /** Hands in a request, in a buffer that is overwritten right after, as the device's is. */
  request(opcode: number, fields: RequestFields = {}): bigint {
    this.#unique += 2n;
    const bytes = encodeRequest(opcode, { unique: this.#unique, ...fields });
    this.session.onRequest(bytes, bytes.length);
    bytes.fill(0xee);
    return fields.unique ?? this.#unique;
  }

  /** The reply to a request that is answered at once. */
  ask(opcode: number, fields: RequestFields = {}): Reply {
    const before = this.sent.length;
    const unique = this.request(opcode, fields);
    const reply = this.sent[before];
    if (!reply || this.sent.length !== before + 1 || reply.unique !== unique)
      throw new Error(`opcode ${opcode}: ${this.sent.length - before} replies`);
    return reply;
  }

  /** Makes a file and answers its inode number. */
  create(name: string): number {
    const body = Buffer.concat([u32(2, 0o644, 0, 0), text(name)]);
    return Number(this.ask(OPCODE.CREATE, { body }).body.readBigUInt64LE(0));
  }
}
