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
import { A, type Row, role, type Statement, user } from '../testing/decision-row.ts';
import { EFFECT_ROWS } from '../testing/effect-rows.ts';
import { LIMIT_ROWS } from '../testing/limit-rows.ts';
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

const ROWS = [...EFFECT_ROWS, ...LIMIT_ROWS];

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
