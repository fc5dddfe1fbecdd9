import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ByteReader, ByteWriter } from './codec.ts';

test('every kind of field may be the one that outgrows the buffer', () => {
  for (let capacity = 1; capacity < 64; capacity++) {
    const w = new ByteWriter(capacity);
    for (let i = 0; i < 4; i++) w.u8(1).u16(2).u32(3).u64(4).string('five').raw(Uint8Array.of(6, 7));
    const r = new ByteReader(w.finish());
    for (let i = 0; i < 4; i++) {
      assert.deepEqual([r.u8(), r.u16(), r.u32(), r.u64(), r.string()], [1, 2, 3, 4, 'five']);
      assert.deepEqual([r.u8(), r.u8()], [6, 7]);
    }
  }
});

test('text of any length and script comes back, with the bytes that UTF-8 gives it', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 100 }),
      fc.string({ maxLength: 100 }),
      (any, ascii) => {
        const bytes = new ByteWriter(1).string(any).string(ascii).u8(7).finish();
        const encoded = [any, ascii].map((text) => new TextEncoder().encode(text));
        assert.equal(bytes.length, 9 + encoded.reduce((sum, { length }) => sum + length, 0));
        const r = new ByteReader(bytes);
        for (const text of encoded) assert.deepEqual(new Uint8Array(r.bytes()), text);
        assert.equal(r.u8(), 7);
      },
    ),
  );
});

test('names that were read before are the ones that stand there', () => {
  const short = fc.string({ unit: fc.constantFrom('a', 'b', 'ä', '\u{1d11e}', '\0'), maxLength: 4 });
  fc.assert(
    fc.property(fc.array(short, { minLength: 1, maxLength: 200 }), (texts) => {
      const writer = new ByteWriter();
      for (const text of [...texts, ...texts]) writer.string(text);
      const reader = new ByteReader(writer.finish());
      for (const text of [...texts, ...texts]) assert.equal(reader.string(), text);
    }),
  );
});
