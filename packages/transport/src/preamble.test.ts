import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCoded } from '@rokka/kernel';
import { PREAMBLE, PreambleReader } from './preamble.ts';

test('the greeting may come in pieces, and what follows it is handed on', () => {
  const bytes = Buffer.concat([PREAMBLE, Buffer.from('frames')]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new PreambleReader('test');
    const first = reader.push(bytes.subarray(0, cut));
    const rest = first ? Buffer.concat([first, bytes.subarray(cut)]) : reader.push(bytes.subarray(cut));
    assert.equal(Buffer.from(rest ?? []).toString(), 'frames');
  }
});

test('strangers are found out by the first wrong byte', () => {
  const refused = (text: string, code: string) =>
    assert.throws(() => new PreambleReader('test').push(Buffer.from(text)), { code });
  refused('G', 'TRANSPORT_NOT_ROKKA');
  refused('GET / HTTP/1.1\r\n', 'TRANSPORT_NOT_ROKKA');
  refused('ROKKX', 'TRANSPORT_NOT_ROKKA');
  refused('ROKKA 2\n', 'TRANSPORT_WRONG_VERSION');
  refused('ROKKA 12', 'TRANSPORT_WRONG_VERSION');
});

test('nothing but the greeting passes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 20 }), (bytes) => {
      if (Buffer.compare(bytes.subarray(0, 8), PREAMBLE) === 0) return;
      assert.throws(
        () => new PreambleReader('test').push(bytes),
        (error) => isCoded(error),
      );
    }),
  );
});
