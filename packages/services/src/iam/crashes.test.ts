/**
 * A crash at any point: each operation of several writes, cut short before and after every one of them. What is stored
 * stays true, and the operation can be asked for again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { assumeRole } from '../sts/assume-role.ts';
import { atEveryCrash, Crash, type CrashAt, FailingRegistry } from '../testing/failing-registry.ts';
import { type IdentityCluster, identityCluster } from '../testing/identity-cluster.ts';
import { ensureAdministrator } from './administrator.ts';
import type { UserDocument } from './documents.ts';
import type { IamContext } from './iam-context.ts';
import { IdentityCredentials } from './identity-credentials.ts';
import { IdentityStore } from './identity-store.ts';
import { attachUserPolicy } from './operations/attach-user-policy.ts';
import { createAccessKey } from './operations/create-access-key.ts';
import { createPolicy } from './operations/create-policy.ts';
import { createRole } from './operations/create-role.ts';
import { createUser } from './operations/create-user.ts';
import { deleteAccessKey } from './operations/delete-access-key.ts';
import { deletePolicy } from './operations/delete-policy.ts';
import { deleteUser } from './operations/delete-user.ts';
import { detachUserPolicy } from './operations/detach-user-policy.ts';
import { listAccessKeys } from './operations/list-access-keys.ts';

/** Runs an operation in a process that dies; true where it died. */
async function dies(
  registry: MemoryRegistry,
  made: IdentityCluster,
  at: CrashAt,
  operation: (context: IamContext) => Promise<unknown>,
): Promise<boolean> {
  const failing = new FailingRegistry(registry.another(), at);
  const store = new IdentityStore({ registry: failing, clock: made.clock, account: made.account });
  try {
    await operation({ ...made.context, store, random: new SeededRandom(77) });
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  return failing.crashed;
}

async function prepared(): Promise<{ registry: MemoryRegistry; made: IdentityCluster }> {
  const registry = new MemoryRegistry();
  const made = await identityCluster({ registry });
  await createUser({ UserName: 'ann' }, made.context);
  return { registry, made };
}

/** Each key that a user has is found, and no other key is. */
async function checkKeys(registry: MemoryRegistry, { clock, account }: IdentityCluster): Promise<void> {
  const store = new IdentityStore({ registry: registry.another(), clock, account });
  const credentials = new IdentityCredentials({ store, clock });
  const users = await store.list<UserDocument>(`accounts/${account}/iam/users/`);
  for (const { id, secret } of users.flatMap(({ accessKeys }) => accessKeys))
    assert.equal((await credentials.find(id))?.secretAccessKey, secret);
  const owned = new Set(users.flatMap(({ accessKeys }) => accessKeys.map(({ id }) => id)));
  for (const { key } of await registry.list('identity/access-keys/')) {
    const id = key.slice('identity/access-keys/'.length);
    assert.equal((await credentials.find(id)) !== undefined, owned.has(id), id);
  }
}

test('CreateAccessKey', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const { registry, made } = await prepared();
    const died = await dies(registry, made, at, (context) => createAccessKey({ UserName: 'ann' }, context));
    await checkKeys(registry, made);
    const keys = (await listAccessKeys({ UserName: 'ann' }, made.context)).AccessKeyMetadata ?? [];
    assert.ok(keys.length <= 1);
    if (keys.length === 1)
      await deleteAccessKey({ UserName: 'ann', AccessKeyId: keys[0].AccessKeyId }, made.context);
    await createAccessKey({ UserName: 'ann' }, made.context);
    await createAccessKey({ UserName: 'ann' }, made.context);
    await checkKeys(registry, made);
    return died;
  });
  assert.equal(crashes, 4);
});

test('DeleteAccessKey', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const { registry, made } = await prepared();
    const input = {
      UserName: 'ann',
      AccessKeyId: must((await createAccessKey({ UserName: 'ann' }, made.context)).AccessKey?.AccessKeyId),
    };
    const died = await dies(registry, made, at, (context) => deleteAccessKey(input, context));
    await checkKeys(registry, made);
    await deleteAccessKey(input, made.context).catch((error: unknown) =>
      assert.equal((error as Error).name, 'NoSuchEntityException'),
    );
    assert.deepEqual((await listAccessKeys({ UserName: 'ann' }, made.context)).AccessKeyMetadata, []);
    assert.equal(
      (await registry.list('identity/access-keys/')).length,
      1,
      'the administrator has the other one',
    );
    await deleteUser({ UserName: 'ann' }, made.context);
    return died;
  });
  assert.equal(crashes, 4);
});

test('AttachUserPolicy, while somebody deletes the policy', async () => {
  const PolicyDocument = JSON.stringify({ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } });
  const crashes = await atEveryCrash(async (at) => {
    const { registry, made } = await prepared();
    const key = must((await createAccessKey({ UserName: 'ann' }, made.context)).AccessKey?.AccessKeyId);
    const PolicyArn = must(
      (await createPolicy({ PolicyName: 'p', PolicyDocument }, made.context)).Policy?.Arn,
    );
    const attached = await dies(registry, made, at, async (context) => {
      const { store } = context;
      // The policy goes after it was looked at, and before it is attached.
      const update = store.update.bind(store);
      let first = true;
      store.update = (async (...args: Parameters<typeof update>) => {
        if (first) await deletePolicy({ PolicyArn }, made.context);
        first = false;
        return update(...args);
      }) as typeof update;
      await assert.rejects(attachUserPolicy({ UserName: 'ann', PolicyArn }, context), (error: Error) =>
        ['NoSuchEntityException', 'Crash'].includes(error.name),
      );
    });
    await createPolicy({ PolicyName: 'p', PolicyDocument }, made.context);
    made.clock.advanceTo(made.clock.nowMs() + 60_000);
    const request = { action: 'rds:DeleteDBCluster', resource: '*', context: {} };
    assert.equal(
      await made.decide(key, request),
      'implicitDeny',
      'the new policy is not the one that was attached',
    );
    await detachUserPolicy({ UserName: 'ann', PolicyArn }, made.context).catch((error: unknown) =>
      assert.equal((error as Error).name, 'NoSuchEntityException'),
    );
    await attachUserPolicy({ UserName: 'ann', PolicyArn }, made.context);
    assert.equal(await made.decide(key, request), 'allowed');
    return attached;
  });
  assert.equal(crashes, 4);
});

test('AssumeRole', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const { registry, made } = await prepared();
    const AssumeRolePolicyDocument = JSON.stringify({
      Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: made.account } },
    });
    const { Role } = await createRole({ RoleName: 'r', AssumeRolePolicyDocument }, made.context);
    const input = { RoleArn: Role?.Arn, RoleSessionName: 'run' };
    const died = await dies(registry, made, at, (context) => assumeRole(input, context));
    const { Credentials } = await assumeRole(input, made.context);
    assert.ok(await made.credentials.find(must(Credentials?.AccessKeyId)));
    assert.ok((await registry.list('identity/sessions/')).length <= 2);
    return died;
  });
  assert.equal(crashes, 2);
});

test('the first start: one account, one user, one key, however often it is cut short', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const registry = new MemoryRegistry();
    const clock = new VirtualClock();
    const failing = new FailingRegistry(registry.another(), at);
    await ensureAdministrator({ registry: failing, clock, random: new SeededRandom(1) }).catch(
      (error: unknown) => assert.ok(error instanceof Crash),
    );
    const made = await ensureAdministrator({ registry, clock, random: new SeededRandom(2) });
    const again = await ensureAdministrator({ registry, clock, random: new SeededRandom(3) });
    assert.deepEqual(again, made);
    const administrator = must(made.administrator);
    const store = new IdentityStore({ registry, clock, account: made.account });
    const users = await store.list<UserDocument>('accounts/');
    assert.deepEqual(
      users.map(({ name, accessKeys }) => [name, accessKeys.map(({ id }) => id)]),
      [['administrator', [administrator.accessKeyId]]],
    );
    const found = await new IdentityCredentials({ store, clock }).find(administrator.accessKeyId);
    assert.equal(found?.secretAccessKey, administrator.secretAccessKey);
    assert.ok(
      !JSON.stringify(await registry.get('identity/account')).includes(administrator.secretAccessKey),
    );
    return failing.crashed;
  });
  assert.equal(crashes, 8);
});
