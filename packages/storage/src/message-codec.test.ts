import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CodedError,
  type Epoch,
  type Lsn,
  type NodeId,
  type PageNumber,
  type PgIndex,
  type Zone,
} from '@rokka/kernel';
import * as fc from 'fast-check';
import * as codec from './message-codec.ts';
import type * as m from './messages.ts';
import { VOLUME } from './testing/stores.ts';

const head = { volume: VOLUME, pg: 3 as PgIndex, volumeEpoch: 7 as Epoch, membershipEpoch: 2 as Epoch };
const range = { volumeEpoch: 6 as Epoch, after: 10 as Lsn, through: (2 ** 52) as Lsn };
const lsn = (value: number) => value as Lsn;

const members: m.MemberAddress[] = [
  { node: 'n' as NodeId, address: '/run/ünïx', zone: 'b' as Zone, kind: 'full' },
];

test('every message survives its codec', () => {
  const hello = { protocol: 1, cluster: 'c', node: 'n' as NodeId };
  assert.deepEqual(codec.decodeHello(codec.encodeHello(hello)), hello);
  const helloAnswer = { protocol: 1, node: 'n' as NodeId, zone: 'a' as Zone, store: '0a1b' };
  assert.deepEqual(codec.decodeHelloAnswer(codec.encodeHelloAnswer(helloAnswer)), helloAnswer);
  const create: m.CreateSegment = {
    ...head,
    kind: 'tail',
    firstPage: 1_310_720 as PageNumber,
    pageCount: 1_310_720,
    members,
    hydrate: true,
    anew: false,
  };
  assert.deepEqual(codec.decodeCreateSegment(codec.encodeCreateSegment(create)), create);
  const first = { ...create, hydrate: false, anew: true };
  assert.deepEqual(codec.decodeCreateSegment(codec.encodeCreateSegment(first)), first);
  const { hydrate: _, anew: __, ...facts } = create;
  const over: m.StartOver = { ...facts, required: lsn(12), dropped: lsn(11) };
  assert.deepEqual(codec.decodeStartOver(codec.encodeStartOver(over)), over);
  const fence = { ...head, members, ranges: [range, { ...range, volumeEpoch: 7 as Epoch }] };
  assert.deepEqual(codec.decodeFence(codec.encodeFence(fence)), fence);
  assert.deepEqual(codec.decodeTruncate(codec.encodeTruncate({ ...head, range })), { ...head, range });
  const ship = { ...head, vdl: lsn(4), pgmrpl: lsn(3), logFloor: lsn(2) };
  const records = new Uint8Array([1, 2, 3]);
  const ships = [
    { ...ship, records: [records, records] },
    { ...ship, pg: 4 as PgIndex, records: [] },
    { ...ship, membershipEpoch: 3 as Epoch, records: [records] },
  ];
  for (const some of [ships, ships.slice(0, 1), ships.slice(1)])
    assert.deepEqual(
      codec.decodeShips(new Uint8Array(Buffer.concat(codec.encodeShips(some)))),
      some.map((one) => ({ ...one, records: new Uint8Array(Buffer.concat(one.records)) })),
    );
  const ack = { ...head, scl: lsn(9), coalesced: lsn(8) };
  for (const acks of [[ack], [ack, { ...ack, pg: 4 as PgIndex, scl: lsn(12) }]])
    assert.deepEqual(codec.decodeAcks(codec.encodeAcks(acks)), acks);
  const refused = { ...head, code: 'X', message: 'why', detail: { volumeEpoch: 8 } };
  assert.deepEqual(codec.decodeShipRefused(codec.encodeShipRefused(refused)), refused);
  const read = { ...head, readPoint: lsn(6), requiredScl: lsn(5), pages: [5, 9] as PageNumber[] };
  assert.deepEqual(codec.decodeRead(codec.encodeRead(read)), read);
  const fetch = { ...head, after: lsn(1), through: lsn(2), limitBytes: 3 };
  assert.deepEqual(codec.decodeFetch(codec.encodeFetch(fetch)), fetch);
  assert.deepEqual(codec.decodePeerState(codec.encodePeerState(head)), head);
  const pages = { ...head, firstPage: 4 as PageNumber, endPage: 9 as PageNumber, limitBytes: 5 };
  assert.deepEqual(codec.decodePages(codec.encodePages(pages)), pages);
  const content = new Uint8Array(8192).fill(3);
  const some = {
    coalesced: lsn(7),
    shows: lsn(11),
    nextPage: 9 as PageNumber,
    pages: [{ page: 5 as PageNumber, lsn: lsn(6), checksum: 8, content }],
  };
  assert.deepEqual(
    codec.decodePagesAnswer(new Uint8Array(Buffer.concat(codec.encodePagesAnswer(some)))),
    some,
  );
  const drop = { ...head, members };
  assert.deepEqual(codec.decodeDropSegment(codec.encodeDropSegment(drop)), drop);
  for (const length of [0, 8192]) {
    const answer = [8, 7].map((fill) => ({ pageLsn: lsn(fill), content: new Uint8Array(length).fill(fill) }));
    assert.deepEqual(
      codec.decodeReadAnswer(new Uint8Array(Buffer.concat(codec.encodeReadAnswer(answer)))),
      answer,
    );
  }
  const error = codec.decodeError(codec.encodeError(new CodedError('CODE', 'text', { a: [1] })));
  assert.deepEqual([error.code, error.message, error.detail], ['CODE', 'text', { a: [1] }]);
});

test('a state survives its codec, and a dense tail costs a byte a record', () => {
  const state = (tail: m.SegmentState['tail']): m.SegmentState => ({
    ...head,
    kind: 'full',
    scl: lsn(100),
    vdl: lsn(90),
    coalesced: lsn(80),
    logFloor: lsn(70),
    ranges: [range],
    tail,
    damaged: true,
    unknown: false,
    hydrating: false,
  });
  const records = fc.array(
    fc.record({
      step: fc.integer({ min: 1, max: 3 }),
      back: fc.integer({ min: 1, max: 3 }),
      cpl: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(records, (steps) => {
      let at = 90;
      const tail = steps.map(({ step, back, cpl }) => {
        at += step;
        return { lsn: lsn(at), previousVolumeLsn: lsn(at - back), cpl };
      });
      assert.deepEqual(codec.decodeSegmentState(codec.encodeSegmentState(state(tail))), state(tail));
    }),
  );
  const dense = Array.from({ length: 1000 }, (_, i) => ({
    lsn: lsn(91 + i),
    previousVolumeLsn: lsn(90 + i),
    cpl: i % 2 === 0,
  }));
  assert.ok(codec.encodeSegmentState(state(dense)).length < 1200);
});

test('random bytes end in a coded error or in a message, never otherwise', () => {
  const decoders = Object.entries(codec).filter(([name]) => name.startsWith('decode'));
  assert.ok(decoders.length >= 14);
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // A whole head, so that the fields behind it are reached.
    fc.uint8Array({ maxLength: 200 }).map((rest) => Buffer.concat([codec.encodePeerState(head), rest])),
  );
  fc.assert(
    fc.property(hostile, (bytes) => {
      for (const [name, decode] of decoders) {
        try {
          (decode as (body: Uint8Array) => unknown)(bytes);
        } catch (error) {
          assert.ok(error instanceof CodedError, `${name}: ${String(error)}`);
        }
      }
    }),
    { numRuns: 2000 },
  );
});
