import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadAhead } from './read-ahead.ts';

const KIB = 1024;

/** Reads one piece after the other; answers up to where it was named after each, and that each byte is named once. */
function read(ahead: ReadAhead, pieces: Iterable<{ offset: number; length: number }>): number[] {
  let named: number | undefined;
  return Array.from(pieces, (piece) => {
    const next = ahead.next(piece);
    if (next) {
      assert.ok(next.length > 0);
      if (named !== undefined) assert.ok(next.offset >= named, 'named twice');
      named = next.offset + next.length;
    }
    return (named ?? 0) / KIB;
  });
}

function* inSequence(length: number, options: { from?: number; count: number }) {
  const { from = 0, count } = options;
  for (let i = 0; i < count; i++) yield { offset: from + i * length, length };
}

test('who reads on is fetched for in time, and the more the longer it goes on', () => {
  const length = 8 * KIB;
  const named = read(new ReadAhead(), inSequence(length, { count: 2000 }));
  assert.equal(named[0], 136, 'from the start of a file on');
  for (const [at, through] of named.entries()) {
    const end = ((at + 1) * length) / KIB;
    assert.ok(through > end + 16, `${through} KiB are named when ${end} were read`);
    assert.ok(through <= end + 2048, 'and no more than two MiB');
  }
  assert.ok(new Set(named).size < 40, 'in large pieces');
});

test('large pieces are met by large windows', () => {
  const named = read(new ReadAhead(), inSequence(1024 * KIB, { count: 20 }));
  assert.deepEqual(
    named.slice(0, 7).map((through, at) => through - (at + 1) * 1024),
    [128, 256, 512, 1024, 2048, 1024, 2048],
  );
});

test('pieces that come out of order, or are read again, are those of one reader', () => {
  const pieces = [...inSequence(128 * KIB, { count: 64 })];
  for (let at = 0; at + 3 < pieces.length; at += 4)
    pieces.splice(at, 4, ...pieces.slice(at, at + 4).reverse());
  const ahead = new ReadAhead();
  const named = read(ahead, pieces);
  assert.ok((named.at(-1) ?? 0) >= 64 * 128 + 512);
  const last = pieces.at(-1);
  assert.ok(last);
  assert.equal(ahead.next(last), undefined);
});

test('reads here and there name nothing, and do not disturb who reads on', () => {
  const ahead = new ReadAhead();
  const piece = 8 * KIB;
  const far = (at: number) => ({ offset: 2 ** 30 + ((at * 7919) % 4096) * 64 * piece, length: piece });
  let disturbed = 0;
  const undisturbed = new ReadAhead();
  for (const [at, one] of [...inSequence(piece, { count: 500 })].entries()) {
    assert.deepEqual(ahead.next(one), undisturbed.next(one));
    if (ahead.next(far(at))) disturbed++;
  }
  assert.equal(disturbed, 0);
});

test('who goes on elsewhere is followed there', () => {
  const ahead = new ReadAhead();
  read(ahead, inSequence(8 * KIB, { count: 100 }));
  const from = 512 * 1024 * KIB;
  const named = read(ahead, inSequence(8 * KIB, { from, count: 3 }));
  assert.deepEqual(named, [0, from / KIB + 16 + 128, from / KIB + 16 + 128]);
});
