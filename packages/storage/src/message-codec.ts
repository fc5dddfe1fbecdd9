/**
 * The bytes of each message in messages.ts: little-endian, in the order of the interface's fields, the address and the
 * epochs first. Bodies come from the network, so every decoder ends in a coded error, never in a crash: a value out of
 * its type's range and bytes left over are STORAGE_BAD_MESSAGE, bytes that end early are KERNEL_SHORT_BYTES.
 */
import { ByteWriter, CodedError, joinNeighbours, PAGE_SIZE } from '@rokka/kernel';
import type { NodeId, PageNumber, VolumeId, Zone } from '@rokka/kernel';
import * as fields from './message-fields.ts';
import { MESSAGE, READ_PAGES_MAX } from './messages.ts';
import type * as m from './messages.ts';

export function encodeHello(hello: m.Hello): Uint8Array {
  return new ByteWriter(64).u32(hello.protocol).string(hello.cluster).string(hello.node).finish();
}

export function decodeHello(body: Uint8Array): m.Hello {
  return decode(MESSAGE.HELLO, body, (r) => ({
    protocol: r.u32(),
    cluster: r.string(),
    node: r.string() as NodeId,
  }));
}

export function encodeHelloAnswer(answer: m.HelloAnswer): Uint8Array {
  return new ByteWriter(64)
    .u32(answer.protocol)
    .string(answer.node)
    .string(answer.zone)
    .string(answer.store)
    .finish();
}

export function decodeHelloAnswer(body: Uint8Array): m.HelloAnswer {
  return decode(MESSAGE.OK, body, (r) => ({
    protocol: r.u32(),
    node: r.string() as NodeId,
    zone: r.string() as Zone,
    store: r.string(),
  }));
}

export function encodeCreateSegment(message: m.CreateSegment): Uint8Array {
  return writeSegment(message)
    .u8(message.hydrate ? 1 : 0)
    .u8(message.anew ? 1 : 0)
    .finish();
}

export function decodeCreateSegment(body: Uint8Array): m.CreateSegment {
  return decode(MESSAGE.CREATE_SEGMENT, body, (r) => ({
    ...readSegment(r),
    hydrate: r.u8() !== 0,
    anew: r.u8() !== 0,
  }));
}

export function encodeStartOver(message: m.StartOver): Uint8Array {
  return writeSegment(message).u64(message.required).u64(message.dropped).finish();
}

export function decodeStartOver(body: Uint8Array): m.StartOver {
  return decode(MESSAGE.START_OVER, body, (r) => ({
    ...readSegment(r),
    required: r.lsn(),
    dropped: r.lsn(),
  }));
}

function writeSegment(message: m.SegmentFacts): ByteWriter {
  const w = fields.writeHead(new ByteWriter(512), message);
  fields.writeKind(w, message.kind).u64(message.firstPage).u64(message.pageCount);
  return fields.writeMembers(w, message.members);
}

function readSegment(r: fields.MessageReader): m.SegmentFacts {
  return {
    ...r.head(),
    kind: r.kind(),
    firstPage: r.count() as PageNumber,
    pageCount: r.count(),
    members: r.members(),
  };
}

export function encodeFence(message: m.Fence): Uint8Array {
  const w = fields.writeMembers(fields.writeHead(new ByteWriter(512), message), message.members);
  return fields.writeRanges(w, message.ranges).finish();
}

export function decodeFence(body: Uint8Array): m.Fence {
  return decode(MESSAGE.FENCE, body, (r) => ({
    ...r.head(),
    members: r.members(),
    ranges: r.ranges(),
  }));
}

export function encodeTruncate(message: m.Truncate): Uint8Array {
  return fields.writeRange(fields.writeHead(new ByteWriter(128), message), message.range).finish();
}

export function decodeTruncate(body: Uint8Array): m.Truncate {
  return decode(MESSAGE.TRUNCATE, body, (r) => ({ ...r.head(), range: r.range() }));
}

/** In parts: the records as they lie, so that the writer need not copy them. All ships are of one volume. */
export function encodeShips(ships: readonly m.ShipParts[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (const [at, ship] of ships.entries()) {
    const w = new ByteWriter(at === 0 ? 128 : 64);
    if (at === 0) w.string(ship.volume);
    fields.writeHeadIn(w, ship).u64(ship.vdl).u64(ship.pgmrpl).u64(ship.logFloor);
    w.u32(ship.records.reduce((sum, { length }) => sum + length, 0));
    parts.push(w.finish(), ...ship.records);
  }
  return parts;
}

/** `records` are views into `body`. */
export function decodeShips(body: Uint8Array): m.Ship[] {
  return decode(MESSAGE.SHIP, body, (r) => {
    const volume = r.string() as VolumeId;
    const ships: m.Ship[] = [];
    do
      ships.push({
        ...r.headIn(volume),
        vdl: r.lsn(),
        pgmrpl: r.lsn(),
        logFloor: r.lsn(),
        records: r.bytes(),
      });
    while (r.left > 0);
    return ships;
  });
}

/** All of one volume. */
export function encodeAcks(acks: readonly m.Ack[]): Uint8Array {
  const w = new ByteWriter(64 + acks.length * 32);
  for (const [at, ack] of acks.entries()) {
    if (at === 0) w.string(ack.volume);
    fields.writeHeadIn(w, ack).u64(ack.scl).u64(ack.coalesced);
  }
  return w.finish();
}

export function decodeAcks(body: Uint8Array): m.Ack[] {
  return decode(MESSAGE.ACK, body, (r) => {
    const volume = r.string() as VolumeId;
    const acks: m.Ack[] = [];
    do acks.push({ ...r.headIn(volume), scl: r.lsn(), coalesced: r.lsn() });
    while (r.left > 0);
    return acks;
  });
}

export function encodeShipRefused(refused: m.ShipRefused): Uint8Array {
  return fields.writeFailure(fields.writeHead(new ByteWriter(256), refused), refused).finish();
}

export function decodeShipRefused(body: Uint8Array): m.ShipRefused {
  return decode(MESSAGE.SHIP_REFUSED, body, (r) => ({ ...r.head(), ...r.failure() }));
}

export function encodeRead(message: m.Read): Uint8Array {
  const writer = fields
    .writeHead(new ByteWriter(128 + message.pages.length * 8), message)
    .u64(message.readPoint)
    .u64(message.requiredScl)
    .u16(message.pages.length);
  for (const page of message.pages) writer.u64(page);
  return writer.finish();
}

export function decodeRead(body: Uint8Array): m.Read {
  return decode(MESSAGE.READ, body, (r) => {
    const head = { ...r.head(), readPoint: r.lsn(), requiredScl: r.lsn() };
    const count = r.u16();
    if (count < 1 || count > READ_PAGES_MAX) throw r.bad(`a read of ${count} pages`);
    return { ...head, pages: Array.from({ length: count }, () => r.count() as PageNumber) };
  });
}

/** In parts: the contents as they lie. */
export function encodeReadAnswer(answer: m.ReadAnswer): Uint8Array[] {
  const w = new ByteWriter(2 + answer.length * 12).u16(answer.length);
  for (const { pageLsn, content } of answer) w.u64(pageLsn).u32(content.length);
  return [w.view(), ...joinNeighbours(answer.map(({ content }) => content))];
}

/** Each `content` is a view into `body`. */
export function decodeReadAnswer(body: Uint8Array): m.ReadAnswer {
  return decode(MESSAGE.OK, body, (r) => {
    const count = r.u16();
    if (count < 1 || count > READ_PAGES_MAX) throw r.bad(`${count} pages`);
    const heads = Array.from({ length: count }, () => ({ pageLsn: r.lsn(), length: r.u32() }));
    return heads.map(({ pageLsn, length }) => {
      if (length !== 0 && length !== PAGE_SIZE) throw r.bad(`a page of ${length} bytes`);
      return { pageLsn, content: r.raw(length) };
    });
  });
}

export function encodeFetch(message: m.Fetch): Uint8Array {
  return fields
    .writeHead(new ByteWriter(128), message)
    .u64(message.after)
    .u64(message.through)
    .u32(message.limitBytes)
    .finish();
}

export function decodeFetch(body: Uint8Array): m.Fetch {
  return decode(MESSAGE.FETCH, body, (r) => ({
    ...r.head(),
    after: r.lsn(),
    through: r.lsn(),
    limitBytes: r.u32(),
  }));
}

export function encodePeerState(message: m.PeerState): Uint8Array {
  return fields.writeHead(new ByteWriter(96), message).finish();
}

export function decodePeerState(body: Uint8Array): m.PeerState {
  return decode(MESSAGE.PEER_STATE, body, (r) => r.head());
}

export function encodeSegmentState(state: m.SegmentState): Uint8Array {
  const w = fields.writeHead(new ByteWriter(256 + state.tail.length * 2), state);
  fields.writeKind(w, state.kind).u64(state.scl).u64(state.vdl).u64(state.coalesced).u64(state.logFloor);
  fields.writeRanges(w, state.ranges);
  fields.writeTail(w, state.tail);
  return w
    .u8(state.damaged ? 1 : 0)
    .u8(state.unknown ? 1 : 0)
    .u8(state.hydrating ? 1 : 0)
    .finish();
}

export function decodeSegmentState(body: Uint8Array): m.SegmentState {
  return decode(MESSAGE.OK, body, (r) => ({
    ...r.head(),
    kind: r.kind(),
    scl: r.lsn(),
    vdl: r.lsn(),
    coalesced: r.lsn(),
    logFloor: r.lsn(),
    ranges: r.ranges(),
    tail: r.tail(),
    damaged: r.u8() !== 0,
    unknown: r.u8() !== 0,
    hydrating: r.u8() !== 0,
  }));
}

export function encodePages(message: m.Pages): Uint8Array {
  return fields
    .writeHead(new ByteWriter(128), message)
    .u64(message.firstPage)
    .u64(message.endPage)
    .u32(message.limitBytes)
    .finish();
}

export function decodePages(body: Uint8Array): m.Pages {
  return decode(MESSAGE.PAGES, body, (r) => ({
    ...r.head(),
    firstPage: r.count() as PageNumber,
    endPage: r.count() as PageNumber,
    limitBytes: r.u32(),
  }));
}

/** The contents are not copied: they must not change until the frame has left. */
export function encodePagesAnswer(answer: m.PagesAnswer): Uint8Array[] {
  const { coalesced, shows, nextPage, pages } = answer;
  const w = new ByteWriter(40 + pages.length * 20).u64(coalesced).u64(shows);
  w.u64(nextPage).u32(pages.length);
  for (const { page, lsn, checksum } of pages) w.u64(page).u64(lsn).u32(checksum);
  return [w.view(), ...joinNeighbours(pages.map(({ content }) => content))];
}

/** The contents are views into `body`. */
export function decodePagesAnswer(body: Uint8Array): m.PagesAnswer {
  return decode(MESSAGE.OK, body, (r) => {
    const [coalesced, shows, nextPage] = [r.lsn(), r.lsn(), r.count() as PageNumber];
    const heads: Omit<m.PagesAnswer['pages'][number], 'content'>[] = [];
    for (let count = r.u32(); count > 0; count--)
      heads.push({ page: r.count() as PageNumber, lsn: r.lsn(), checksum: r.u32() });
    const contents = heads.map((head) => ({ ...head, content: r.raw(PAGE_SIZE) }));
    return { coalesced, shows, nextPage, pages: contents };
  });
}

export function encodeDropSegment(message: m.DropSegment): Uint8Array {
  return fields.writeMembers(fields.writeHead(new ByteWriter(512), message), message.members).finish();
}

export function decodeDropSegment(body: Uint8Array): m.DropSegment {
  return decode(MESSAGE.DROP_SEGMENT, body, (r) => ({ ...r.head(), members: r.members() }));
}

export function encodeError(error: CodedError): Uint8Array {
  return fields.writeFailure(new ByteWriter(256), error).finish();
}

export function decodeError(body: Uint8Array): CodedError {
  const { code, message, detail } = decode(MESSAGE.ERROR, body, (r) => r.failure());
  return new CodedError(code, message, detail);
}

function decode<T>(type: number, body: Uint8Array, read: (reader: fields.MessageReader) => T): T {
  const reader = new fields.MessageReader(type, body);
  const value = read(reader);
  if (reader.left > 0) throw reader.bad(`${reader.left} bytes too many`);
  return value;
}
