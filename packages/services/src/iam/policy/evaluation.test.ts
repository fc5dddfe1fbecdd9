/**
 * The decision against another program's: random policies and requests, decided here and by iam-simulate. What the two
 * mean to see differently is left out of the domain, and stands in tests of its own: resources with wildcards in the
 * request, which a simulator takes for patterns, and variables without value in NotResource.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSimulation, type Simulation } from '@cloud-copilot/iam-simulate';
import * as fc from 'fast-check';
import { contextValues } from './context-values.ts';
import { evaluate } from './evaluation.ts';
import { compilePolicy } from './policy-document.ts';

const ACCOUNT = '111122223333';
const cluster = (name: string) => `arn:aws:rds:eu-west-1:${ACCOUNT}:cluster:${name}`;

const statements = fc.record(
  {
    Effect: fc.constantFrom('Allow', 'Allow', 'Deny'),
    action: fc.record({
      not: fc.boolean(),
      list: fc.uniqueArray(
        fc.constantFrom(
          '*',
          'rds:*',
          'rds:Delete*',
          'rds:DeleteDBCluster',
          'rds:?eleteDBCluster',
          'ec2:*',
          'RDS:modifydbcluster',
        ),
        { minLength: 1, maxLength: 2 },
      ),
    }),
    resource: fc.record({
      not: fc.boolean(),
      list: fc.uniqueArray(
        fc.constantFrom(
          '*',
          cluster('*'),
          cluster('a'),
          cluster('a?'),
          cluster('${aws:username}'),
          `arn:aws:rds:*:*:cluster:*b`,
        ),
        { minLength: 1, maxLength: 2 },
      ),
    }),
    condition: fc.constantFrom(
      undefined,
      { StringEquals: { 'aws:RequestedRegion': ['eu-west-1', 'eu-west-2'] } },
      { StringNotEquals: { 'aws:RequestedRegion': 'eu-west-1' } },
      { StringLike: { 'aws:PrincipalTag/team': 'a*' } },
      { StringNotLikeIfExists: { 'aws:PrincipalTag/team': 'a*' } },
      { StringEqualsIfExists: { 'aws:PrincipalTag/team': 'core' } },
      { Null: { 'aws:PrincipalTag/team': 'true' } },
      { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } },
      { NotIpAddress: { 'aws:SourceIp': ['10.0.0.0/8', '192.168.0.0/16'] } },
      { Bool: { 'aws:SecureTransport': 'true' } },
      { BoolIfExists: { 'aws:MultiFactorAuthPresent': 'false' } },
      { NumericLessThan: { 'aws:MultiFactorAuthAge': '3600' } },
      { DateGreaterThan: { 'aws:CurrentTime': '2026-01-01T00:00:00Z' } },
      { ArnLike: { 'aws:PrincipalArn': `arn:aws:iam::${ACCOUNT}:user/b*` } },
      { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['team', 'cost'] } },
      { 'ForAnyValue:StringLike': { 'aws:TagKeys': 'te*' } },
    ),
  },
  { noNullPrototype: true },
);

const policies = fc.array(statements, { minLength: 1, maxLength: 3 }).map((each) => ({
  Version: '2012-10-17',
  Statement: each.map(({ Effect, action, resource, condition }) => ({
    Effect,
    [action.not ? 'NotAction' : 'Action']: action.list,
    [resource.not ? 'NotResource' : 'Resource']: resource.list,
    ...(condition && { Condition: condition }),
  })),
}));

const contexts = fc.record(
  {
    'aws:username': fc.constantFrom('a', 'bob', '*'),
    'aws:RequestedRegion': fc.constantFrom('eu-west-1', 'us-east-1'),
    'aws:PrincipalTag/team': fc.constantFrom('a-team', 'core'),
    'aws:SourceIp': fc.constantFrom('10.1.1.1', '192.168.3.4', '8.8.8.8'),
    'aws:SecureTransport': fc.constantFrom('true', 'false'),
    'aws:MultiFactorAuthPresent': fc.constantFrom('true', 'false'),
    'aws:MultiFactorAuthAge': fc.constantFrom('60', '7200'),
    'aws:CurrentTime': fc.constantFrom('2025-06-01T00:00:00Z', '2026-06-01T00:00:00Z'),
    'aws:PrincipalArn': fc.constantFrom(
      `arn:aws:iam::${ACCOUNT}:user/bob`,
      `arn:aws:iam::${ACCOUNT}:user/ann`,
    ),
    'aws:TagKeys': fc.constantFrom<string[][]>(['team'], ['team', 'cost'], ['other'], ['other', 'team']),
  },
  { requiredKeys: ['aws:username'], noNullPrototype: true },
);

const requests = fc.record({
  action: fc.constantFrom('rds:DeleteDBCluster', 'rds:ModifyDBCluster'),
  resource: fc.constantFrom(cluster('a'), cluster('ab'), cluster('bob'), cluster('x')),
});

const OUR_WORDS = { Allowed: 'allowed', ExplicitlyDenied: 'explicitDeny', ImplicitlyDenied: 'implicitDeny' };

test('agrees with iam-simulate on random policies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(policies, { minLength: 1, maxLength: 2 }),
      fc.option(policies, { nil: undefined }),
      contexts,
      requests,
      async (identity, boundary, context, { action, resource }) => {
        const simulation: Simulation = {
          request: {
            principal: `arn:aws:iam::${ACCOUNT}:user/bob`,
            action,
            resource: { resource, accountId: ACCOUNT },
            contextVariables: context,
          },
          identityPolicies: identity.map((policy, i) => ({ name: String(i), policy })),
          serviceControlPolicies: [],
          resourceControlPolicies: [],
          ...(boundary && { permissionBoundaryPolicies: [{ name: 'b', policy: boundary }] }),
        };
        const theirs = await runSimulation(simulation, {});
        assert.equal(theirs.resultType, 'single', JSON.stringify(theirs));
        const compile = (policy: unknown) => compilePolicy(JSON.stringify(policy), 'identity');
        const ours = evaluate(
          { identity: identity.map(compile), boundary: boundary && [compile(boundary)] },
          { action, resource, context: contextValues(context) },
        );
        assert.equal(ours, OUR_WORDS[theirs.overallResult]);
      },
    ),
    { numRuns: 400 },
  );
});

const allow = (Resource: string | string[], Action = 'rds:*') => ({ Effect: 'Allow', Action, Resource });
const decide = (statementList: object[], action: string, resource: string, context = {}) =>
  evaluate(
    {
      identity: [
        compilePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statementList }), 'identity'),
      ],
    },
    { action, resource, context: contextValues(context) },
  );

test('a resource of the request is a text, not a pattern', () => {
  assert.equal(decide([allow(cluster('a'))], 'rds:DescribeDBClusters', '*'), 'implicitDeny');
  assert.equal(decide([allow(cluster('a'))], 'rds:DeleteDBCluster', cluster('*')), 'implicitDeny');
  const guarded = [allow('*'), { Effect: 'Deny', Action: 'rds:*', Resource: cluster('secret*') }];
  assert.equal(decide(guarded, 'rds:DeleteDBCluster', cluster('secret*')), 'explicitDeny');
  assert.equal(decide([allow('*')], 'rds:DescribeDBClusters', '*'), 'allowed');
});

test('an action that nobody knows is decided like any other', () => {
  assert.equal(decide([allow('*')], 'rds:NoSuchThing', '*'), 'allowed');
  assert.equal(decide([allow('*', 'ec2:*')], 'rds:NoSuchThing', '*'), 'implicitDeny');
});

test('a NotResource that cannot be named allows nothing, and denies', () => {
  const NotResource = cluster('${aws:username}');
  assert.equal(
    decide([{ Effect: 'Allow', Action: '*', NotResource }], 'rds:DeleteDBCluster', cluster('x')),
    'implicitDeny',
  );
  const denying = [allow('*'), { Effect: 'Deny', Action: '*', NotResource }];
  assert.equal(decide(denying, 'rds:DeleteDBCluster', cluster('x')), 'explicitDeny');
});

test('an empty boundary and an empty list of session policies allow nothing', () => {
  const everything = [compilePolicy(JSON.stringify({ Statement: allow('*', '*') }), 'identity')];
  const question = { action: 'rds:DeleteDBCluster', resource: cluster('x'), context: contextValues({}) };
  assert.equal(evaluate({ identity: everything }, question), 'allowed');
  assert.equal(evaluate({ identity: everything, boundary: [] }, question), 'implicitDeny');
  assert.equal(evaluate({ identity: everything, session: [] }, question), 'implicitDeny');
  assert.equal(evaluate({ identity: [], session: everything }, question), 'implicitDeny');
});
