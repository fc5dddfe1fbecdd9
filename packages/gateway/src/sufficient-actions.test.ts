import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorize } from './authorization.ts';
import type { Decision } from './identity.ts';
import { untyped } from './operation.ts';
import { decideTogether, sufficientActions } from './sufficient-actions.ts';
import { ALICE, CALL, TestAuthorizer } from './testing/identity.ts';

test('one action that is allowed is enough, and one that is denied too much', () => {
  const [yes, no, never] = ['allowed', 'implicitDeny', 'explicitDeny'] as const;
  const rows: [Decision[], Decision][] = [
    [[yes], yes],
    [[no], no],
    [[never], never],
    [[yes, no], yes],
    [[no, yes], yes],
    [[yes, yes], yes],
    [[no, no], no],
    [[never, yes], never],
    [[yes, never], never],
    [[never, no], never],
    [[no, never], never],
    [[], no],
  ];
  for (const [decisions, decision] of rows)
    assert.equal(decideTogether(decisions), decision, decisions.join());
  assert.deepEqual(sufficientActions({ action: 'x:New' }), ['x:New']);
  assert.deepEqual(sufficientActions({ action: 'x:New', alternatives: ['x:Old'] }), ['x:New', 'x:Old']);
});

test('a request that names alternatives is told what would have done, or what is denied', async () => {
  const operation = untyped('Copy', {
    handle: () => ({}),
    resources: () => [{ arn: 'a', alternatives: ['x:CopyOne'], conditions: { 'x:Kind': 'k' } }],
  });
  const why = async (deny: Record<string, Decision>) => {
    const authorizer = new TestAuthorizer();
    for (const [action, decision] of Object.entries(deny)) authorizer.deny.set(action, decision);
    const ask = { action: 'x:Copy', operation, credential: ALICE, context: CALL, input: {} };
    const refused = await authorize(authorizer, ask).catch((error: Error) => error.message);
    const asked = authorizer.asked.map(({ action, resource, context: keys }) => [
      action,
      resource,
      keys['x:Kind'],
    ]);
    assert.deepEqual(asked, [
      ['x:Copy', 'a', 'k'],
      ['x:CopyOne', 'a', 'k'],
    ]);
    return refused?.replace(/^.* to perform: /, '');
  };
  assert.equal(await why({}), undefined);
  assert.equal(await why({ 'x:Copy': 'implicitDeny' }), undefined);
  assert.equal(await why({ 'x:CopyOne': 'implicitDeny' }), undefined);
  assert.equal(
    await why({ 'x:Copy': 'implicitDeny', 'x:CopyOne': 'implicitDeny' }),
    'x:Copy on resource: a because no identity-based policy allows the x:Copy or x:CopyOne action',
  );
  const explicit = 'on resource: a with an explicit deny in an identity-based policy';
  assert.equal(await why({ 'x:Copy': 'explicitDeny' }), `x:Copy ${explicit}`);
  assert.equal(await why({ 'x:CopyOne': 'explicitDeny' }), `x:CopyOne ${explicit}`);
  assert.equal(await why({ 'x:Copy': 'implicitDeny', 'x:CopyOne': 'explicitDeny' }), `x:CopyOne ${explicit}`);
});
