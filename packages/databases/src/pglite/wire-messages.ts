/**
 * Messages of the PostgreSQL protocol, version 3 (PostgreSQL documentation, "Message Formats"): one byte of type, a
 * big-endian length that counts itself, the body. Start-up packets have no type.
 */

export const PROTOCOL_3_0 = 0x0003_0000;
export const SSL_REQUEST = 80877103;
export const GSSENC_REQUEST = 80877104;
export const CANCEL_REQUEST = 80877102;

/** Type bytes. The same letter may mean different things in the two directions. */
export const FromClient = {
  bind: 0x42, // B
  close: 0x43, // C
  describe: 0x44, // D
  execute: 0x45, // E
  functionCall: 0x46, // F
  flush: 0x48, // H
  parse: 0x50, // P
  query: 0x51, // Q
  sync: 0x53, // S
  terminate: 0x58, // X
  copyDone: 0x63, // c
  copyData: 0x64, // d
  copyFail: 0x66, // f
  password: 0x70, // p
} as const;

export const FromBackend = {
  parseComplete: 0x31, // 1
  notification: 0x41, // A
  dataRow: 0x44, // D
  error: 0x45, // E
  copyIn: 0x47, // G
  backendKey: 0x4b, // K
  authentication: 0x52, // R
  parameterStatus: 0x53, // S
  protocolVersion: 0x76, // v
  ready: 0x5a, // Z
} as const;

/** Transaction status in ReadyForQuery. */
export type TransactionStatus = 'I' | 'T' | 'E';

export const HEADER_BYTES = 5;

export function message(type: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = HEADER_BYTES;
  for (const part of parts) length += part.length;
  const out = Buffer.allocUnsafe(length);
  out[0] = type;
  out.writeUInt32BE(length - 1, 1);
  let at = HEADER_BYTES;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A zero-terminated string. `encoding` is latin1 for text that was read from a message and goes back into one. */
export function zeroTerminated(text: string, encoding: BufferEncoding = 'utf8'): Buffer {
  return Buffer.from(`${text}\0`, encoding);
}

export function int32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeInt32BE(value);
  return out;
}

/** The position of the zero that ends the string at `from`, or -1. */
export function stringEnd(bytes: Buffer, from: number): number {
  return bytes.indexOf(0, from);
}

export function queryMessage(sql: string): Buffer {
  return message(FromClient.query, zeroTerminated(sql));
}

export const SYNC_MESSAGE = message(FromClient.sync);

export function readyMessage(status: TransactionStatus): Buffer {
  return message(FromBackend.ready, Buffer.from(status));
}

export function parameterStatus(name: string, value: string): Buffer {
  return message(FromBackend.parameterStatus, zeroTerminated(name), zeroTerminated(value));
}

/** What a client is told when something fails. Fields of ErrorResponse and NoticeResponse. */
export interface WireError {
  readonly severity: 'ERROR' | 'FATAL';
  readonly sqlState: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

export function errorMessage(error: WireError): Buffer {
  const fields = [
    `S${error.severity}`,
    `V${error.severity}`,
    `C${error.sqlState}`,
    `M${error.message}`,
    ...(error.detail === undefined ? [] : [`D${error.detail}`]),
    ...(error.hint === undefined ? [] : [`H${error.hint}`]),
  ];
  return message(FromBackend.error, ...fields.map((field) => zeroTerminated(field)), Buffer.of(0));
}

/** The fields of an ErrorResponse by their letters, as latin1. */
export function errorFields(error: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  let at = HEADER_BYTES;
  while (at < error.length && error[at] !== 0) {
    const end = stringEnd(error, at);
    if (end < 0) break;
    fields.set(String.fromCharCode(error[at]), error.toString('latin1', at + 1, end));
    at = end + 1;
  }
  return fields;
}

/** The values of a DataRow in text format; null where SQL has null. */
export function rowValues(row: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  let at = HEADER_BYTES + 2;
  for (let left = row.readUInt16BE(HEADER_BYTES); left > 0; left--) {
    const length = row.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : row.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return values;
}
