import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sqlStatements, sqlTokens, type SqlToken } from './sql-tokens.ts';

const show = (sql: string) => [...sqlTokens(sql)].map(({ kind, text }) => `${kind}:${text}`);

test('words, names, strings, numbers and parameters', () => {
  assert.deepEqual(show(`Select "A""b", 'it''s', $1, 1.5e3 FROM t`), [
    'word:select',
    'name:A"b',
    'symbol:,',
    "string:it's",
    'symbol:,',
    'symbol:$1',
    'symbol:,',
    'symbol:1.5e3',
    'word:from',
    'word:t',
  ]);
});

test('comments hide what is in them, and nest', () => {
  assert.deepEqual(show('a -- listen x\nb /* listen /* deeper */ listen */ c'), [
    'word:a',
    'word:b',
    'word:c',
  ]);
  assert.deepEqual(show('a /* never closed'), ['word:a']);
});

test('strings: escapes, dollar quotes, and what is never closed', () => {
  assert.deepEqual(show(String.raw`E'a\'b' 'a\' x`), [String.raw`string:a\'b`, 'string:a\\', 'word:x']);
  assert.deepEqual(show(`$$ a ' $b$ $$ $q$ $$ $q$ $1`), [`string: a ' $b$ `, 'string: $$ ', 'symbol:$1']);
  assert.deepEqual(show(`'open; listen`), ['string:open; listen']);
  assert.deepEqual(show(`a$b$c 1`), ['word:a$b$c', 'symbol:1']);
});

test('statements end at semicolons outside of everything', () => {
  const texts = (sql: string) =>
    sqlStatements(sql).map((tokens: SqlToken[]) => tokens.map(({ text }) => text).join(' '));
  assert.deepEqual(texts(`;; select ';' ; /* ; */ do $$ a; b $$; "x;y"`), ['select ;', 'do  a; b ', 'x;y']);
});

test('any text has an end, and quoting keeps words apart', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      const latin1 = Buffer.from(text).toString('latin1');
      assert.ok([...sqlTokens(latin1)].length <= latin1.length);
      const quoted = [...sqlTokens(`'${latin1.replaceAll("'", "''")}' x`)];
      assert.deepEqual(quoted, [
        { kind: 'string', text: latin1 },
        { kind: 'word', text: 'x' },
      ]);
    }),
    { numRuns: 100 },
  );
});
