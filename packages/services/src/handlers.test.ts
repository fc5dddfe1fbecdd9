/**
 * The tables of operations fit the SDK: names that are operations, inputs and outputs of the official types. Most of it
 * is checked when this is compiled.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as cloudtrail from '@aws-sdk/client-cloudtrail';
import * as iam from '@aws-sdk/client-iam';
import * as sts from '@aws-sdk/client-sts';
import type { CallContext } from './call-context.ts';
import { loadCloudTrailHandlers, loadIamHandlers, loadStsHandlers } from './handlers.ts';
import { identityCluster } from './testing/identity-cluster.ts';
import type { Trail } from './cloudtrail/trail.ts';

interface Command<I, O> {
  readonly input: I;
  resolveMiddleware(...args: never[]): (args: never) => Promise<{ output: O }>;
}
/** As `defineService` takes it: for each command of the SDK's module one function, officially typed. */
type Handlers<M> = {
  [K in keyof M as K extends `${infer Op}Command` ? Op : never]?: M[K] extends new (
    ...args: never[]
  ) => Command<infer I, infer O>
    ? (input: I, context: CallContext) => Promise<Omit<O, '$metadata'>>
    : never;
};

test('every entry is an operation of its service', async () => {
  const { context } = await identityCluster();
  const iamTable = (await loadIamHandlers(context)) satisfies Handlers<typeof iam>;
  const stsTable = (await loadStsHandlers(context)) satisfies Handlers<typeof sts>;
  const trailTable = (await loadCloudTrailHandlers({ trail: {} as Trail })) satisfies Handlers<
    typeof cloudtrail
  >;
  for (const name of Object.keys(iamTable)) assert.ok(`${name}Command` in iam, name);
  for (const name of Object.keys(stsTable)) assert.ok(`${name}Command` in sts, name);
  assert.ok(Object.keys(iamTable).length >= 75);
  assert.deepEqual(Object.keys(trailTable), ['LookupEvents']);
});

test('the check above can fail', () => {
  const wrong = { GetUser: async (_input: { UserName: number }) => ({}) };
  // @ts-expect-error: a name is no number
  void (wrong satisfies Handlers<typeof iam>);
  const unknown = async () => ({ Users: 5 });
  // @ts-expect-error: users are a list
  void ({ ListUsers: unknown } satisfies Handlers<typeof iam>);
});

test('an entry works on the services it was bound to and the call it is given', async () => {
  const made = await identityCluster();
  const { GetCallerIdentity } = await loadStsHandlers(made.context);
  const { CreateUser, GetUser } = await loadIamHandlers(made.context);
  const { requestId, region, credential, clock } = made.context;
  const call: CallContext = { requestId, region, credential, clock };
  assert.equal((await GetCallerIdentity({}, call)).Account, made.account);
  await CreateUser({ UserName: 'ann' }, call);
  assert.equal((await GetUser({}, call)).User?.UserName, 'administrator');
});
