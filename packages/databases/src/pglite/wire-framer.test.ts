import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClientFramer, FramingError, ReplyScanner } from './wire-framer.ts';
import { FromBackend, message } from './wire-messages.ts';

const messages = fc.array(
  fc
    .tuple(fc.constantFrom(0x31, 0x44, 0x45, 0x5a, 0x54), fc.uint8Array({ maxLength: 40 }))
    .map(([type, body]) => message(type, body)),
  { maxLength: 12 },
);
const cuts = fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 8 });

function chunked(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length];
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

test('messages come out whole, however they are chunked', () => {
  fc.assert(
    fc.property(messages, cuts, (sent, sizes) => {
      const framer = new ClientFramer(1000);
      const got: Buffer[] = [];
      for (const chunk of chunked(Buffer.concat(sent), sizes)) {
        framer.push(chunk);
        for (let one = framer.nextMessage(); one; one = framer.nextMessage()) got.push(one);
      }
      assert.deepEqual(got, sent);
      assert.equal(framer.heldBytes, 0);
    }),
    { numRuns: 300 },
  );
});

test('a length beyond the limits is refused from its header alone', () => {
  const framer = new ClientFramer(100);
  framer.push(Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]));
  assert.throws(() => framer.nextMessage(), FramingError);
  const short = new ClientFramer(100);
  short.push(Buffer.from([0x51, 0, 0, 0, 3]));
  assert.throws(() => short.nextMessage(), FramingError);
  const startup = new ClientFramer(100);
  startup.push(Buffer.from('GET / HTTP/1.1\r\n'));
  assert.throws(() => startup.nextStartup(), FramingError);
});

test('a start-up packet, then messages', () => {
  const framer = new ClientFramer(100);
  framer.push(Buffer.concat([Buffer.from([0, 0, 0, 8, 0, 3, 0, 0]), message(0x51, Buffer.from('x\0'))]));
  assert.equal(framer.nextStartup()?.length, 8);
  assert.equal(framer.nextMessage()?.toString('latin1', 5), 'x\0');
  assert.equal(framer.nextMessage(), undefined);
});

test('replies: watched messages are seen whole, dropped or changed; the rest passes', () => {
  fc.assert(
    fc.property(messages, cuts, (sent, sizes) => {
      const seen: Buffer[] = [];
      const changed = message(FromBackend.error, Buffer.from('changed'));
      const scanner = new ReplyScanner(new Set([0x31, 0x45, 0x5a]), (type, one) => {
        seen.push(Buffer.from(one));
        if (type === 0x31) return undefined;
        return type === 0x45 ? changed : one;
      });
      const out = chunked(Buffer.concat(sent), sizes).flatMap((chunk) => scanner.push(chunk));
      const expected = sent.filter((one) => one[0] !== 0x31).map((one) => (one[0] === 0x45 ? changed : one));
      assert.deepEqual(Buffer.concat(out), Buffer.concat(expected));
      assert.deepEqual(
        seen,
        sent.filter((one) => [0x31, 0x45, 0x5a].includes(one[0])),
      );
    }),
    { numRuns: 300 },
  );
});
