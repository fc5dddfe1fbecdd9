import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCoded } from '@rokka/kernel';
import { FRAME_BODY_BYTES_MAX, type Frame } from './connection.ts';
import { encodeFrame, FRAME_HEADER_BYTES, FrameDecoder } from './frame.ts';

interface Plain {
  type: number;
  requestId: number;
  body: number[];
}

const plainFrame: fc.Arbitrary<Plain> = fc.record(
  {
    type: fc.integer({ min: 1, max: 255 }),
    requestId: fc.integer({ min: 0, max: 0xffff_ffff }),
    body: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 }),
  },
  { noNullPrototype: true },
);

const encode = ({ type, requestId, body }: Plain) => encodeFrame(type, requestId, [Uint8Array.from(body)]);

/** Feeds `bytes` cut at `cuts` and collects copies of the frames. */
function decode(bytes: Uint8Array, cuts: readonly number[], decoder = new FrameDecoder('test')): Plain[] {
  const frames: Plain[] = [];
  const sink = ({ type, requestId, body }: Frame) => frames.push({ type, requestId, body: [...body] }) > 0;
  const bounds = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < bounds.length; i++) decoder.push(bytes.subarray(bounds[i - 1], bounds[i]), sink);
  return frames;
}

test('any chunking gives the same frames', () => {
  fc.assert(
    fc.property(
      fc.array(plainFrame, { maxLength: 8 }),
      fc.array(fc.nat({ max: 1_000 }), { maxLength: 20 }),
      (frames, cuts) => {
        const decoder = new FrameDecoder('test');
        assert.deepEqual(decode(Buffer.concat(frames.map(encode)), cuts, decoder), frames);
        decoder.end();
      },
    ),
    { numRuns: 300 },
  );
});

test('a frame that lies in one chunk is a view of it, byte by byte is a copy', () => {
  const chunk = encodeFrame(9, 1, [Buffer.from('petals')]);
  const bodies: Uint8Array[] = [];
  const keep = ({ body }: Frame) => bodies.push(body) > 0;
  new FrameDecoder('test').push(chunk, keep);
  const slow = new FrameDecoder('test');
  for (let at = 0; at < chunk.length; at++) slow.push(chunk.subarray(at, at + 1), keep);
  chunk.fill(0x2a);
  assert.deepEqual(
    bodies.map((body) => Buffer.from(body).toString()),
    ['******', 'petals'],
  );
});

test('the layout is what the file says', () => {
  const bytes = encodeFrame(0x21, 0x01020304, [Buffer.from('six'), Buffer.from(' petals')]);
  assert.equal(bytes.toString('hex'), '0a000000c6be96f6210000000403020173697820706574616c73');
});

test('one flipped bit anywhere is never delivered', () => {
  fc.assert(
    fc.property(plainFrame, fc.nat(), (frame, where) => {
      const bytes = encode(frame);
      const bit = where % (bytes.length * 8);
      bytes[bit >> 3] = bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7));
      const decoder = new FrameDecoder('test');
      assert.throws(
        () => {
          const delivered = decode(bytes, [], decoder);
          assert.deepEqual(delivered, []);
          decoder.end();
        },
        (error) => isCoded(error),
      );
    }),
    { numRuns: 500 },
  );
});

test('random bytes end in a coded error or in waiting, never in anything else', () => {
  const header = fc.tuple(fc.nat({ max: 40 }), fc.uint8Array({ minLength: 12, maxLength: 80 })).map(
    // A short length in front lets some of the noise get as far as the checksum.
    ([length, noise]) => Buffer.concat([Buffer.from([length, 0, 0, 0]), noise]),
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), header), fc.array(fc.nat()), (bytes, cuts) => {
      try {
        const decoder = new FrameDecoder('test');
        assert.deepEqual(decode(bytes, cuts, decoder), []);
        decoder.end();
      } catch (error) {
        assert.ok(isCoded(error), String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a length above the limit is refused by its header alone', () => {
  for (const length of [FRAME_BODY_BYTES_MAX + 1, 0xffff_ffff]) {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32LE(length, 0);
    for (const cuts of [[], [5]])
      assert.throws(() => decode(header, cuts), { code: 'TRANSPORT_FRAME_TOO_LONG' });
  }
});

test('the longest frame passes', () => {
  const body = Buffer.alloc(FRAME_BODY_BYTES_MAX, 7);
  let seen = 0;
  const decoder = new FrameDecoder('test');
  const bytes = encodeFrame(1, 0, [body]);
  const sink = (frame: Frame) => ((seen = frame.body.length), true);
  for (let at = 0; at < bytes.length; at += 65_536) decoder.push(bytes.subarray(at, at + 65_536), sink);
  assert.equal(seen, FRAME_BODY_BYTES_MAX);
});

test('an end within a frame is an error, between frames it is none', () => {
  const bytes = encodeFrame(1, 0, [Buffer.from('abc')]);
  for (let length = 0; length <= bytes.length; length++) {
    const decoder = new FrameDecoder('test');
    decode(bytes.subarray(0, length), [], decoder);
    if (length === 0 || length === bytes.length) decoder.end();
    else assert.throws(() => decoder.end(), { code: 'TRANSPORT_FRAME_CUT' });
  }
});

test('the decoder stops where the sink says so', () => {
  const bytes = Buffer.concat([encodeFrame(1, 1, []), encodeFrame(1, 2, []), encodeFrame(1, 3, [])]);
  for (const cut of [0, 20]) {
    const seen: number[] = [];
    const decoder = new FrameDecoder('test');
    const sink = ({ requestId }: Frame) => seen.push(requestId) < 2;
    decoder.push(bytes.subarray(0, cut), sink);
    decoder.push(bytes.subarray(cut), sink);
    assert.deepEqual(seen, [1, 2]);
  }
});

test('a body that comes in pieces is put together where its receiver wants it', () => {
  const asked: unknown[] = [];
  const memory = new Uint8Array(1_000);
  const decoder = new FrameDecoder('test', (frame) => {
    asked.push(frame);
    return frame.type === 2 ? memory.subarray(10, 10 + frame.length) : undefined;
  });
  const frames: Frame[] = [];
  const sink = (frame: Frame) => frames.push({ ...frame }) > 0;
  for (const type of [1, 2, 3]) {
    const bytes = encodeFrame(type, 7, [Buffer.alloc(40, type)]);
    const cut = type === 3 ? bytes.length : 20;
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) decoder.push(piece, sink);
  }
  assert.deepEqual(asked, [
    { type: 1, requestId: 7, length: 40 },
    { type: 2, requestId: 7, length: 40 },
  ]);
  assert.equal(frames[1]?.body.buffer, memory.buffer);
  assert.deepEqual([frames[1]?.owned, memory[9], memory[10], memory[49], memory[50]], [true, 0, 2, 2, 0]);
  assert.deepEqual(
    frames.map(({ body }) => body[39]),
    [1, 2, 3],
  );
});

test('a long body that came in pieces is its receiver’s to keep, and says so', () => {
  const decoder = new FrameDecoder('test');
  const kept: Uint8Array[] = [];
  const frames: Frame[] = [];
  const sink = (frame: Frame) => {
    frames.push({ ...frame });
    if (frame.owned) kept.push(frame.body);
    return true;
  };
  const body = new Uint8Array(100_000).fill(7);
  const chunk = new Uint8Array(encodeFrame(1, 1, [body]));
  for (let at = 0; at < chunk.length; at += 30_000) decoder.push(chunk.slice(at, at + 30_000), sink);
  const short = new Uint8Array(encodeFrame(2, 2, [new Uint8Array(500).fill(9)]));
  decoder.push(short.subarray(0, 100), sink);
  decoder.push(short.subarray(100), sink);
  decoder.push(encodeFrame(3, 3, [body.slice().fill(8)]), sink);
  assert.deepEqual(
    frames.map(({ type, owned }) => [type, owned ?? false]),
    [
      [1, true],
      [2, false],
      [3, false],
    ],
  );
  assert.deepEqual(
    kept.map((one) => new Uint8Array(one)),
    [body],
  );
});
