import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, PAGE_SIZE, type Lsn } from '@rokka/kernel';
import type { ReadAnswer } from '@rokka/storage';
import { AnswerMemory } from './answer-memory.ts';

const HEAD_BYTES = 20;

/** An answer whose pages have these lengths, in `body`. */
function answerIn(body: Uint8Array, lengths: readonly number[]): ReadAnswer {
  let at = HEAD_BYTES;
  return lengths.map((length) => {
    const content = body.subarray(at, at + length);
    at += length;
    return { pageLsn: 1 as Lsn, content };
  });
}

function lent(memory: AnswerMemory, lengths: readonly number[]) {
  const bytes = HEAD_BYTES + lengths.reduce((sum, length) => sum + length, 0);
  const body = must(memory.take(bytes));
  assert.equal(body.length, bytes);
  const answer = answerIn(body, lengths);
  memory.lend(answer);
  return { body, contents: answer.map(({ content }) => content) };
}

const isSame = (a: Uint8Array, b: Uint8Array) => a.buffer === b.buffer;

test('memory is used again when each content that is not empty was given back', () => {
  const memory = new AnswerMemory();
  const { body, contents } = lent(memory, [PAGE_SIZE, 0, PAGE_SIZE]);
  memory.giveBack(must(contents[0]));
  assert.ok(!isSame(must(memory.take(3 * PAGE_SIZE)), body), 'somebody looks at the other one');
  memory.giveBack(must(contents[2]));
  assert.ok(isSame(must(memory.take(3 * PAGE_SIZE)), body));
  const next = must(memory.take(3 * PAGE_SIZE));
  assert.ok(!isSame(next, body), 'it is given once');
});

test('an answer without contents gives its memory back by itself', () => {
  const memory = new AnswerMemory();
  const { body } = lent(memory, [0]);
  assert.ok(isSame(must(memory.take(HEAD_BYTES)), body));
});

test('what was not lent does not come back', () => {
  const memory = new AnswerMemory();
  const body = must(memory.take(HEAD_BYTES + PAGE_SIZE));
  const [{ content }] = answerIn(body, [PAGE_SIZE]) as [ReadAnswer[number]];
  memory.giveBack(content);
  assert.ok(!isSame(must(memory.take(PAGE_SIZE)), body));
  memory.giveBack(new Uint8Array(PAGE_SIZE));
});

test('one content given back twice does not free what another lies in', () => {
  const memory = new AnswerMemory();
  const { body, contents } = lent(memory, [PAGE_SIZE, PAGE_SIZE]);
  memory.giveBack(must(contents[0]));
  assert.throws(() => memory.giveBack(must(contents[0])), /given back/);
  assert.ok(!isSame(must(memory.take(3 * PAGE_SIZE)), body));
});

test('what nobody has seen comes back whole, and once', () => {
  const memory = new AnswerMemory();
  const body = must(memory.take(HEAD_BYTES + 2 * PAGE_SIZE));
  const answer = answerIn(body, [PAGE_SIZE, PAGE_SIZE]);
  memory.discard(answer);
  assert.throws(() => memory.discard(answer), /given back once/);
  const next = must(memory.take(HEAD_BYTES + 2 * PAGE_SIZE));
  assert.ok(isSame(next, body));
  memory.lend(answerIn(next, [PAGE_SIZE, PAGE_SIZE]));
  assert.throws(() => memory.discard(answer), /content by content/);
});

test('a long answer has no memory here, a short one a small piece', () => {
  const memory = new AnswerMemory();
  assert.equal(memory.take(64 * PAGE_SIZE), undefined);
  assert.ok(must(memory.take(PAGE_SIZE)).buffer.byteLength < 2 * PAGE_SIZE);
});
