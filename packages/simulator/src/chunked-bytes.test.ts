import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ChunkedBytes } from './chunked-bytes.ts';

const ROOM = 70_000;

const range = fc
  .tuple(fc.nat(ROOM - 1), fc.nat(20_000))
  .map(([at, length]) => ({ at, length: Math.min(length, ROOM - at) }));
const operation = fc.oneof(
  range.map((of) => ({ kind: 'set' as const, ...of })),
  range.map((of) => ({ kind: 'zero' as const, ...of })),
  fc.tuple(range, fc.nat(ROOM - 1)).map(([of, to]) => ({
    kind: 'copy' as const,
    at: of.at,
    length: Math.min(of.length, ROOM - to),
    to,
  })),
);

test("it is as one long array, zeroed, also where its memory was somebody else's", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 12 }), (operations) => {
      const [bytes, other] = [new ChunkedBytes(), new ChunkedBytes()];
      const [twin, otherTwin] = [new Uint8Array(ROOM), new Uint8Array(ROOM)];
      bytes.grow(ROOM);
      other.grow(ROOM);
      for (const [salt, one] of operations.entries()) {
        const { at, length } = one;
        if (one.kind === 'set') {
          const content = new Uint8Array(length).fill(salt + 1);
          bytes.set(content, at);
          twin.set(content, at);
        } else if (one.kind === 'zero') {
          bytes.zero(at, at + length);
          twin.fill(0, at, at + length);
        } else {
          bytes.copyTo(other, { from: at, at: one.to, bytes: length });
          otherTwin.set(twin.subarray(at, at + length), one.to);
        }
      }
      for (const [real, expected] of [
        [bytes, twin],
        [other, otherTwin],
      ] as const) {
        const into = new Uint8Array(ROOM);
        real.copyInto(into, 0);
        assert.ok(Buffer.compare(into, expected) === 0);
        real.release();
        assert.throws(() => real.copyInto(into, 0), /out of the memory/);
      }
    }),
    { numRuns: 60 },
  );
});
