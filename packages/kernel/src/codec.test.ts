import assert from 'node:assert/strict';
import { test } from 'node:test';
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
