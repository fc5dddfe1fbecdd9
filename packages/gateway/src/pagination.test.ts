import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pages } from './pagination.ts';

const pages = new Pages({ secret: Buffer.alloc(32, 7) });
const refuse = () => new Error('refused');
const scope = ['123456789012', 'eu-north-1', 'rds:DescribeDBClusters'];
const keyOf = (key: string) => key;

test('page by page every item comes once, in order, whatever the limit', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 })),
      fc.integer({ min: 1, max: 7 }),
      (keys, limit) => {
        const items = keys.sort((a, b) => (a < b ? -1 : 1));
        const seen: string[] = [];
        let token: string | undefined;
        do {
          const page = pages.page({ items, keyOf, limit, token, scope, refuse });
          assert.ok(page.items.length <= limit);
          seen.push(...page.items);
          token = page.next;
        } while (token !== undefined);
        assert.deepEqual(seen, items);
      },
    ),
  );
});

test('what comes and goes between two pages shifts nothing else', () => {
  const first = pages.page({ items: ['b', 'd', 'f', 'h'], keyOf, limit: 2, token: undefined, scope, refuse });
  assert.deepEqual(first.items, ['b', 'd']);
  const second = pages.page({
    items: ['a', 'b', 'e', 'f', 'h'],
    keyOf,
    limit: 9,
    token: first.next,
    scope,
    refuse,
  });
  assert.deepEqual(second, { items: ['e', 'f', 'h'], next: undefined });
});

test('a token that was made up, altered or belongs to another question is refused', () => {
  const of = { items: ['a', 'b', 'c'], keyOf, limit: 1, scope, refuse };
  const token = pages.page({ ...of, token: undefined }).next!;
  const another = new Pages({ secret: Buffer.alloc(32, 8) });
  assert.throws(() => another.page({ ...of, token }), refuse());
  assert.throws(() => pages.page({ ...of, token, scope: ['999999999999', ...scope.slice(1)] }), refuse());
  for (const rubbish of ['', 'a', 'ü', '=', token.slice(1), `${token}AAAA`, 'A'.repeat(5000), 'A'.repeat(64)])
    assert.throws(() => pages.page({ ...of, token: rubbish }), refuse(), rubbish);
  for (let at = 0; at < token.length - 1; at++) {
    const altered = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
    assert.throws(() => pages.page({ ...of, token: altered }), refuse());
  }
});
