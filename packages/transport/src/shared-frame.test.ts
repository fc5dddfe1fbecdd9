import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFrame, FrameDecoder } from './frame.ts';
import { SharedFrame } from './shared-frame.ts';

for (const length of [0, 5, 2_048, 2_049, 100_000])
  test(`a body of ${length} bytes is the frame that a connection of its own would carry, and is laid out once`, () => {
    const body = Buffer.alloc(length, 'petal ');
    const parts = [body.subarray(0, 3), body.subarray(3, 3), body.subarray(3)];
    const frame = new SharedFrame(9, parts);
    assert.equal(frame.length, length);
    assert.deepEqual(Buffer.concat(frame.vector), encodeFrame(9, 0, parts));
    assert.equal(frame.vector, frame.vector);
    const found: string[] = [];
    for (const part of frame.vector) assert.ok(part.length > 0);
    new FrameDecoder('peer').push(
      Buffer.concat(frame.vector),
      (one) => found.push(`${one.type} ${one.requestId} ${Buffer.from(one.body).equals(body)}`) > 0,
    );
    assert.deepEqual(found, ['9 0 true']);
  });
