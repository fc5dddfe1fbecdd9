import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Pattern } from './pattern.ts';

const none = () => undefined;
const values = (record: Record<string, string>) => (name: string) => record[name];
const like = (text: string, more = {}) => new Pattern(text, { wildcards: true, variables: true, ...more });

test('wildcards', () => {
  const cases: [string, string, boolean][] = [
    ['*', '', true],
    ['a*', 'abc', true],
    ['a*', 'ba', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['*a*b*', 'xxaxxbxx', true],
    ['*a*b*', 'xxbxxaxx', false],
    ['**', 'x', true],
    ['', '', true],
    ['', 'x', false],
    ['a.c', 'abc', false],
  ];
  for (const [pattern, text, expected] of cases)
    assert.equal(like(pattern).matches(text, none), expected, `${pattern} on ${text}`);
});

test('a star inside a segment of an ARN stays in it, one at its end does not', () => {
  const arn = (text: string) => like(text, { arn: true });
  const cluster = 'arn:aws:rds:us-east-1:111122223333:cluster:a';
  assert.ok(arn('arn:aws:rds:*').matches(cluster, none));
  assert.ok(arn('arn:aws:rds:*:*:cluster:*').matches(cluster, none));
  assert.ok(arn('arn:aws:rds:us-*-1:111122223333:cluster:a').matches(cluster, none));
  assert.ok(!arn('arn:aws:r*s:us-east-1:111122223333:cluster:b').matches(cluster, none));
  assert.ok(!arn('arn:aws:r*1:111122223333:cluster:a').matches(cluster, none));
  assert.ok(arn('arn:aws:logs:eu:1:log-group:*x:y').matches('arn:aws:logs:eu:1:log-group:a:bx:y', none));
});

test('what a variable puts in is literal', () => {
  const home = like('home/${aws:username}/*');
  assert.ok(home.matches('home/bob/x', values({ 'aws:username': 'bob' })));
  assert.ok(!home.matches('home/alice/x', values({ 'aws:username': '*' })));
  assert.ok(home.matches('home/*/x', values({ 'aws:username': '*' })));
});

test('a variable without value matches nothing, with a default that', () => {
  assert.ok(!like('${aws:username}').matches('', none));
  assert.ok(like('${aws:username}').lacks(none));
  assert.ok(like("${aws:username, 'nobody'}").matches('nobody', none));
  assert.ok(!like("${aws:username, 'nobody'}").lacks(none));
  assert.ok(!like('${}').matches('${}', none));
});

test('escapes stand for the character', () => {
  assert.ok(like('a${*}c').matches('a*c', none));
  assert.ok(!like('a${*}c').matches('abc', none));
  assert.ok(like('${?}${$}').matches('?$', none));
});

test('without variables or wildcards a pattern is its text', () => {
  const literal = new Pattern('${aws:username}*', { wildcards: false, variables: false });
  assert.ok(literal.matches('${aws:username}*', none));
  assert.ok(!literal.matches('${aws:username}x', none));
  assert.ok(like('RDS:Describe*', { ignoreCase: true }).matches('rds:describeDBClusters', none));
});

test('agrees with a regular expression on small alphabets', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', ':'), maxLength: 8 });
  const patterns = fc.string({ unit: fc.constantFrom('a', 'b', ':', '*', '?'), maxLength: 8 });
  fc.assert(
    fc.property(patterns, letters, (pattern, text) => {
      const dumb = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
      assert.equal(like(pattern).matches(text, none), dumb.test(text));
    }),
    { numRuns: 2000 },
  );
});

test('in an ARN agrees with one that keeps inner stars between colons', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', ':'), maxLength: 10 });
  const patterns = fc.string({ unit: fc.constantFrom('a', 'b', ':', '*', '?'), maxLength: 10 });
  fc.assert(
    fc.property(patterns, letters, (pattern, text) => {
      let colons = 0;
      const source = Array.from(pattern, (letter, at) => {
        if (letter === ':') colons++;
        if (letter === '?') return '.';
        if (letter !== '*') return letter;
        return colons < 5 && at + 1 < pattern.length && pattern[at + 1] !== ':' ? '[^:]*' : '.*';
      });
      const dumb = new RegExp(`^${source.join('')}$`, 's');
      assert.equal(like(pattern, { arn: true }).matches(text, none), dumb.test(text));
    }),
    { numRuns: 2000 },
  );
});

test('a pattern of many stars is matched in time that a policy may cost', () => {
  const pattern = like('*a'.repeat(500));
  assert.ok(!pattern.matches('a'.repeat(499), none));
  assert.ok(pattern.matches('a'.repeat(500), none));
});
