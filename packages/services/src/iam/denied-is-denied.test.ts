/**
 * Denied is denied: policies and calls with what must come out of them, written by hand, and asked three times: of the
 * evaluation alone, of another program (iam-simulate), and of the authorizer over users and roles that IAM's own
 * operations have made.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import type { Decision } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { assumeRole } from '../sts/assume-role.ts';
import { type IdentityCluster, identityCluster } from '../testing/identity-cluster.ts';
import { addUserToGroup } from './operations/add-user-to-group.ts';
import { attachGroupPolicy } from './operations/attach-group-policy.ts';
import { attachRolePolicy } from './operations/attach-role-policy.ts';
import { attachUserPolicy } from './operations/attach-user-policy.ts';
import { createAccessKey } from './operations/create-access-key.ts';
import { createGroup } from './operations/create-group.ts';
import { createPolicy } from './operations/create-policy.ts';
import { createRole } from './operations/create-role.ts';
import { createUser } from './operations/create-user.ts';
import { BUILT_IN_POLICIES } from './built-in-policies.ts';
import { contextValues } from './policy/context-values.ts';
import { evaluate } from './policy/evaluation.ts';
import { compilePolicy } from './policy/policy-document.ts';

type Statement = Record<string, unknown>;

interface Row {
  name: string;
  expected: Decision;
  action: string;
  resource: string;
  /** Each list is a policy. */
  policies: readonly (readonly Statement[])[];
  /** Policies of AWS, by name. */
  builtIn?: string[];
  boundary?: readonly Statement[];
  /** Makes the caller a session of a role. */
  session?: readonly Statement[];
  /** Makes the policies a group's. */
  viaGroup?: boolean;
  context?: Record<string, string | string[]>;
  /** Why the other program is not asked. */
  notComparable?: string;
}

const A = '000000000000';
const cluster = (name: string) => `arn:aws:rds:eu-west-1:${A}:cluster:${name}`;
const instance = (name: string) => `arn:aws:ec2:eu-west-1:${A}:instance/${name}`;
const user = (name: string) => `arn:aws:iam::${A}:user/${name}`;
const role = (name: string) => `arn:aws:iam::${A}:role/${name}`;
const parameter = (name: string) => `arn:aws:ssm:eu-west-1:${A}:parameter/${name}`;

const allow = (
  Action: string | string[],
  Resource: string | string[] = '*',
  more: Statement = {},
): Statement => ({
  Effect: 'Allow',
  Action,
  Resource,
  ...more,
});
const deny = (
  Action: string | string[],
  Resource: string | string[] = '*',
  more: Statement = {},
): Statement => ({
  ...allow(Action, Resource, more),
  Effect: 'Deny',
});
const when = (operator: string, key: string, value: unknown) => ({
  Condition: { [operator]: { [key]: value } },
});

const PATTERN = 'it takes a wildcard in the request for a pattern';
const DELETE = { action: 'rds:DeleteDBCluster', resource: cluster('orders') };
const LIST = { action: 'ec2:DescribeInstances', resource: '*' };

const ROWS: Row[] = [
  // What nobody allows.
  { name: 'no policies at all', expected: 'implicitDeny', ...DELETE, policies: [] },
  { name: 'another service', expected: 'implicitDeny', ...DELETE, policies: [[allow('ec2:*')]] },
  { name: 'another action', expected: 'implicitDeny', ...DELETE, policies: [[allow('rds:Describe*')]] },
  {
    name: 'another resource',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('rds:*', cluster('users'))]],
  },
  {
    name: 'another region',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('rds:*', `arn:aws:rds:us-east-1:${A}:cluster:orders`)]],
  },
  {
    name: 'another account',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('rds:*', 'arn:aws:rds:eu-west-1:999999999999:cluster:orders')]],
  },
  {
    name: 'a prefix is not the thing',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('rds:*', cluster('order'))]],
  },
  {
    name: 'resources are told apart by case',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('rds:*', cluster('Orders'))]],
  },
  {
    name: 'only a NotAction that leaves it out',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[{ Effect: 'Allow', NotAction: 'rds:*', Resource: '*' }]],
  },
  {
    name: 'only a NotResource that leaves it out',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[{ Effect: 'Allow', Action: 'rds:*', NotResource: cluster('*') }]],
  },
  // What somebody allows.
  { name: 'everything', expected: 'allowed', ...DELETE, policies: [[allow('*')]] },
  { name: 'the service', expected: 'allowed', ...DELETE, policies: [[allow('rds:*')]] },
  {
    name: 'the action on the thing',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('rds:DeleteDBCluster', cluster('orders'))]],
  },
  {
    name: 'actions are not told apart by case',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('RDS:deletedbcluster')]],
  },
  {
    name: 'a question mark in the action',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('rds:Delete??Cluster')]],
  },
  {
    name: 'a star in the resource',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('rds:*', cluster('ord*'))]],
  },
  {
    name: 'a star for the region',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('rds:*', `arn:aws:rds:*:${A}:cluster:orders`)]],
  },
  {
    name: 'the second of two policies',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('ec2:*')], [allow('rds:*')]],
  },
  { name: 'a list call for everything', expected: 'allowed', ...LIST, policies: [[allow('ec2:Describe*')]] },
  { name: 'by way of a group', expected: 'allowed', ...DELETE, policies: [[allow('rds:*')]], viaGroup: true },
  // What somebody denies.
  {
    name: 'a deny in the same policy',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), deny('rds:Delete*')]],
  },
  {
    name: 'a deny before the allow',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[deny('rds:Delete*'), allow('*')]],
  },
  {
    name: 'a deny in another policy',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*')], [deny('rds:Delete*')]],
  },
  {
    name: 'a deny on the thing',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), deny('*', cluster('orders'))]],
  },
  {
    name: 'a deny on another thing',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('*'), deny('*', cluster('users'))]],
  },
  {
    name: 'a deny of all but reading',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), { Effect: 'Deny', NotAction: 'rds:Describe*', Resource: '*' }]],
  },
  {
    name: 'a deny of all but one thing',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), { Effect: 'Deny', Action: '*', NotResource: cluster('users') }]],
  },
  {
    name: 'a deny in a group',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), deny('rds:*')]],
    viaGroup: true,
  },
  {
    name: 'a deny outweighs administration',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[deny('rds:*')]],
    builtIn: ['AdministratorAccess'],
  },
  // Policies of AWS.
  {
    name: 'AdministratorAccess',
    expected: 'allowed',
    ...DELETE,
    policies: [],
    builtIn: ['AdministratorAccess'],
  },
  { name: 'ReadOnlyAccess reads', expected: 'allowed', ...LIST, policies: [], builtIn: ['ReadOnlyAccess'] },
  {
    name: 'ReadOnlyAccess does not write',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [],
    builtIn: ['ReadOnlyAccess'],
  },
  {
    name: 'ReadOnlyAccess shows no parameters',
    expected: 'implicitDeny',
    action: 'ssm:GetParameter',
    resource: parameter('password'),
    policies: [],
    builtIn: ['ReadOnlyAccess'],
  },
  {
    name: 'PowerUserAccess works',
    expected: 'allowed',
    ...DELETE,
    policies: [],
    builtIn: ['PowerUserAccess'],
  },
  {
    name: 'PowerUserAccess makes no users',
    expected: 'implicitDeny',
    action: 'iam:CreateUser',
    resource: user('eve'),
    policies: [],
    builtIn: ['PowerUserAccess'],
  },
  // Conditions.
  {
    name: 'from the right network',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('rds:*', '*', when('IpAddress', 'aws:SourceIp', '10.0.0.0/8'))]],
    context: { 'aws:SourceIp': '10.2.3.4' },
  },
  {
    name: 'from another network',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('rds:*', '*', when('IpAddress', 'aws:SourceIp', '10.0.0.0/8'))]],
    context: { 'aws:SourceIp': '11.2.3.4' },
  },
  {
    name: 'from nobody knows where',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('rds:*', '*', when('IpAddress', 'aws:SourceIp', '10.0.0.0/8'))]],
  },
  {
    name: 'denied outside the network, without an address',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), deny('*', '*', when('NotIpAddress', 'aws:SourceIp', '10.0.0.0/8'))]],
  },
  {
    name: 'in the region',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('*', '*', when('StringEquals', 'aws:RequestedRegion', 'eu-west-1'))]],
    context: { 'aws:RequestedRegion': 'eu-west-1' },
  },
  {
    name: 'outside the region',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [
      [
        allow('*'),
        deny('*', '*', when('StringNotEquals', 'aws:RequestedRegion', ['us-east-1', 'us-east-2'])),
      ],
    ],
    context: { 'aws:RequestedRegion': 'eu-west-1' },
  },
  {
    name: 'by name of the user',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('*', '*', when('StringEquals', 'aws:username', 'bob'))]],
  },
  {
    name: 'by another name',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*', '*', when('StringEquals', 'aws:username', 'ann'))]],
  },
  {
    name: 'by a tag of the user',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('*', '*', when('StringEquals', 'aws:PrincipalTag/team', 'core'))]],
  },
  {
    name: 'a tag that the request claims for the user',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*', '*', when('StringEquals', 'aws:PrincipalTag/level', 'admin'))]],
    context: { 'AWS:PrincipalTag/Level': 'admin' },
    notComparable: 'it believes the request',
  },
  {
    name: 'a name that the request claims',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*', '*', when('StringEquals', 'aws:username', 'ann'))]],
    context: { 'aws:UserName': 'ann' },
    notComparable: 'it believes the request',
  },
  {
    name: 'two conditions of which one fails',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [
      [
        allow('*', '*', {
          Condition: { StringEquals: { 'aws:username': 'bob', 'aws:RequestedRegion': 'us-east-1' } },
        }),
      ],
    ],
    context: { 'aws:RequestedRegion': 'eu-west-1' },
  },
  {
    name: 'only over TLS',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), deny('*', '*', when('Bool', 'aws:SecureTransport', 'false'))]],
    context: { 'aws:SecureTransport': 'false' },
  },
  {
    name: 'without a second factor',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), deny('*', '*', when('BoolIfExists', 'aws:MultiFactorAuthPresent', 'false'))]],
  },
  {
    name: 'after the time',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*', '*', when('DateLessThan', 'aws:CurrentTime', '2020-01-01T00:00:00Z'))]],
  },
  // Variables.
  {
    name: 'a user on itself',
    expected: 'allowed',
    action: 'iam:GetUser',
    resource: user('bob'),
    policies: [[allow('iam:*', user('${aws:username}'))]],
  },
  {
    name: 'a user on another',
    expected: 'implicitDeny',
    action: 'iam:GetUser',
    resource: user('ann'),
    policies: [[allow('iam:*', user('${aws:username}'))]],
  },
  {
    name: 'a variable that nobody fills',
    expected: 'implicitDeny',
    action: 'iam:GetUser',
    resource: user('bob'),
    policies: [[allow('iam:*', user('${aws:PrincipalTag/nickname}'))]],
  },
  // Boundaries.
  {
    name: 'within the boundary',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('*')]],
    boundary: [allow('rds:*')],
  },
  {
    name: 'beyond the boundary',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*')]],
    boundary: [allow('ec2:*')],
  },
  {
    name: 'a boundary alone allows nothing',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [],
    boundary: [allow('*')],
  },
  {
    name: 'a boundary that denies',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*')]],
    boundary: [allow('*'), deny('rds:*')],
  },
  {
    name: 'a boundary on the thing',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*')]],
    boundary: [allow('*', cluster('users'))],
  },
  // Sessions of a role.
  {
    name: 'a session that may less',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*')]],
    session: [allow('ec2:*')],
  },
  {
    name: 'a session that says the same',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('rds:*')]],
    session: [allow('*')],
  },
  {
    name: 'a session cannot give what the role lacks',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('ec2:*')]],
    session: [allow('*')],
  },
  {
    name: 'a session that denies',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*')]],
    session: [allow('*'), deny('rds:*')],
  },
  {
    name: 'a role that denies',
    expected: 'explicitDeny',
    ...DELETE,
    policies: [[allow('*'), deny('rds:*')]],
    session: [allow('*')],
  },
  {
    name: 'role, boundary and session all allow',
    expected: 'allowed',
    ...DELETE,
    policies: [[allow('*')]],
    boundary: [allow('rds:*')],
    session: [allow('rds:Delete*')],
  },
  {
    name: 'of the three the boundary does not',
    expected: 'implicitDeny',
    ...DELETE,
    policies: [[allow('*')]],
    boundary: [allow('ec2:*')],
    session: [allow('rds:Delete*')],
  },
  // Resources that are texts.
  {
    name: 'a list call against a policy for one thing',
    expected: 'implicitDeny',
    action: 'rds:DescribeDBClusters',
    resource: '*',
    policies: [[allow('rds:*', cluster('orders'))]],
    notComparable: PATTERN,
  },
  {
    name: 'a star as a name',
    expected: 'implicitDeny',
    action: 'rds:DeleteDBCluster',
    resource: cluster('*'),
    policies: [[allow('rds:*', cluster('orders'))]],
    notComparable: PATTERN,
  },
  {
    name: 'a star does not slip past a deny',
    expected: 'explicitDeny',
    action: 'rds:DeleteDBCluster',
    resource: cluster('secret-*'),
    policies: [[allow('*'), deny('*', cluster('secret-*'))]],
    notComparable: PATTERN,
  },
  {
    name: 'nor past one that is for all',
    expected: 'explicitDeny',
    ...LIST,
    policies: [[allow('*'), deny('ec2:Describe*')]],
  },
  {
    name: 'one for a thing does not stop a list',
    expected: 'allowed',
    ...LIST,
    policies: [[allow('*'), deny('ec2:*', instance('i-1'))]],
  },
  // Passing roles.
  {
    name: 'a role may be passed on',
    expected: 'allowed',
    action: 'iam:PassRole',
    resource: role('task'),
    policies: [[allow('iam:PassRole', role('task'))]],
  },
  {
    name: 'another may not',
    expected: 'implicitDeny',
    action: 'iam:PassRole',
    resource: role('admin'),
    policies: [[allow('iam:PassRole', role('task'))]],
  },
];

const policyOf = (statements: readonly Statement[]) => ({ Version: '2012-10-17', Statement: statements });

/** The row as it reads in the account of this run. */
const inAccount = (row: Row, account: string): Row =>
  JSON.parse(JSON.stringify(row).replaceAll(A, account)) as Row;

const builtInTexts = ({ builtIn = [] }: Row) =>
  builtIn.map((name) => must(BUILT_IN_POLICIES.get(`arn:aws:iam::aws:policy/${name}`)).versions[0].document);

function identityTexts(row: Row): string[] {
  return [...row.policies.map((statements) => JSON.stringify(policyOf(statements))), ...builtInTexts(row)];
}

/** What is known of bob, and of sessions of his role, without asking the registry. */
const known = (row: Row, account: string, now: string): Record<string, string | string[]> => ({
  ...row.context,
  ...(row.session ? {} : { 'aws:username': 'bob', 'aws:PrincipalTag/team': 'core' }),
  'aws:PrincipalArn': row.session ? role('worker').replace(A, account) : user('bob').replace(A, account),
  'aws:CurrentTime': now,
});

function byEvaluation(row: Row, context: Record<string, string | string[]>): Decision {
  const compile = (statements: readonly Statement[] | undefined) =>
    statements && [compilePolicy(JSON.stringify(policyOf(statements)), 'identity')];
  return evaluate(
    {
      identity: identityTexts(row).map((text) => compilePolicy(text, 'identity')),
      boundary: compile(row.boundary),
      session: compile(row.session),
    },
    { action: row.action, resource: row.resource, context: contextValues(context) },
  );
}

async function byLibrary(row: Row, account: string, contextVariables: Record<string, string | string[]>) {
  const result = await runSimulation(
    {
      request: {
        principal: row.session
          ? `arn:aws:sts::${account}:assumed-role/worker/run`
          : `arn:aws:iam::${account}:user/bob`,
        action: row.action,
        resource: { resource: row.resource, accountId: account },
        contextVariables,
      },
      identityPolicies: identityTexts(row).map((text, i) => ({
        name: String(i),
        policy: JSON.parse(text) as unknown,
      })),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      ...(row.session && { sessionPolicy: policyOf(row.session) }),
      ...(row.boundary && { permissionBoundaryPolicies: [{ name: 'b', policy: policyOf(row.boundary) }] }),
    },
    {},
  );
  assert.notEqual(result.resultType, 'error', JSON.stringify(result));
  const words = {
    Allowed: 'allowed',
    ExplicitlyDenied: 'explicitDeny',
    ImplicitlyDenied: 'implicitDeny',
  } as const;
  return result.resultType === 'error' ? undefined : words[result.overallResult];
}

async function policyArns(row: Row, { context }: IdentityCluster): Promise<string[]> {
  const made: string[] = [];
  for (const [i, statements] of row.policies.entries()) {
    const { Policy } = await createPolicy(
      { PolicyName: `p${i}`, PolicyDocument: JSON.stringify(policyOf(statements)) },
      context,
    );
    made.push(must(Policy?.Arn));
  }
  return [...made, ...(row.builtIn ?? []).map((name) => `arn:aws:iam::aws:policy/${name}`)];
}

async function boundaryArn(row: Row, { context }: IdentityCluster): Promise<string | undefined> {
  if (!row.boundary) return undefined;
  const PolicyDocument = JSON.stringify(policyOf(row.boundary));
  return (await createPolicy({ PolicyName: 'boundary', PolicyDocument }, context)).Policy?.Arn;
}

/** The key of bob, who is or is not in a group. */
async function userKey(row: Row, made: IdentityCluster): Promise<string> {
  const { context } = made;
  const Tags = [{ Key: 'Team', Value: 'core' }];
  await createUser({ UserName: 'bob', Tags, PermissionsBoundary: await boundaryArn(row, made) }, context);
  if (row.viaGroup) {
    await createGroup({ GroupName: 'all' }, context);
    await addUserToGroup({ GroupName: 'all', UserName: 'bob' }, context);
  }
  for (const PolicyArn of await policyArns(row, made)) {
    if (row.viaGroup) await attachGroupPolicy({ GroupName: 'all', PolicyArn }, context);
    else await attachUserPolicy({ UserName: 'bob', PolicyArn }, context);
  }
  return must((await createAccessKey({ UserName: 'bob' }, context)).AccessKey?.AccessKeyId);
}

async function sessionKey(row: Row, made: IdentityCluster): Promise<string> {
  const { context, account } = made;
  const AssumeRolePolicyDocument = JSON.stringify(
    policyOf([{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: account } }]),
  );
  const PermissionsBoundary = await boundaryArn(row, made);
  await createRole({ RoleName: 'worker', AssumeRolePolicyDocument, PermissionsBoundary }, context);
  for (const PolicyArn of await policyArns(row, made))
    await attachRolePolicy({ RoleName: 'worker', PolicyArn }, context);
  const { Credentials } = await assumeRole(
    {
      RoleArn: `arn:aws:iam::${account}:role/worker`,
      RoleSessionName: 'run',
      Policy: JSON.stringify(policyOf(must(row.session))),
    },
    context,
  );
  return must(Credentials?.AccessKeyId);
}

for (const written of ROWS)
  test(`${written.name}: ${written.expected}`, async () => {
    const made = await identityCluster();
    const row = inAccount(written, made.account);
    const { action, resource, context = {}, expected } = row;
    const key = await (row.session ? sessionKey : userKey)(row, made);
    assert.equal(await made.decide(key, { action, resource, context }), expected, 'by the authorizer');
    const facts = known(row, made.account, new Date(made.clock.wallMs()).toISOString());
    if (row.notComparable !== 'it believes the request')
      assert.equal(byEvaluation(row, facts), expected, 'by evaluation');
    if (row.notComparable === undefined)
      assert.equal(await byLibrary(row, made.account, facts), expected, 'by iam-simulate');
  });

test('the table is large enough, and says all three', () => {
  assert.ok(ROWS.length >= 60);
  for (const decision of ['allowed', 'implicitDeny', 'explicitDeny'])
    assert.ok(ROWS.filter(({ expected }) => expected === decision).length >= 15);
  assert.equal(new Set(ROWS.map(({ name }) => name)).size, ROWS.length);
});
