import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LineSplitter } from './lines.ts';

function split(chunks: readonly string[], limitBytes?: number): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter({
    onLine: (line) => lines.push(line),
    ...(limitBytes !== undefined && { limitBytes }),
  });
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.end();
  return lines;
}

test('lines come out the same wherever the stream is cut', () => {
  const chunk = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 12 });
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 8 }), (chunks) => {
      const expected = chunks.join('').split('\n');
      if (expected.at(-1) === '') expected.pop();
      assert.deepEqual(split(chunks), expected);
    }),
    { numRuns: 300 },
  );
});

test('a character may be cut in two by the stream', () => {
  const bytes = Buffer.from('六花\n');
  const lines: string[] = [];
  const splitter = new LineSplitter({ onLine: (line) => lines.push(line) });
  for (const byte of bytes) splitter.push(Uint8Array.of(byte));
  assert.deepEqual(lines, ['六花']);
});

test('a line over the limit is cut, the next one is whole', () => {
  assert.deepEqual(split(['abc', 'defgh', 'ij\nkl\n'], 4), ['abcd', 'kl']);
});
