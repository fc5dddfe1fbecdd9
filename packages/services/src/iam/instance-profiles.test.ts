/** A profile has one role, and only one that is there, whoever does what at the same time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import { atEveryCrash, FailingRegistry } from '../testing/failing-registry.ts';
import { heldRegistry, type Moment } from '../testing/held-registry.ts';
import { type IdentityCluster, identityCluster } from '../testing/identity-cluster.ts';
import type { IamContext } from './iam-context.ts';
import { IdentityStore } from './identity-store.ts';
import { addRoleToInstanceProfile } from './operations/add-role-to-instance-profile.ts';
import { createInstanceProfile } from './operations/create-instance-profile.ts';
import { createRole } from './operations/create-role.ts';
import { deleteInstanceProfile } from './operations/delete-instance-profile.ts';
import { deleteRole } from './operations/delete-role.ts';
import { getInstanceProfile } from './operations/get-instance-profile.ts';
import { removeRoleFromInstanceProfile } from './operations/remove-role-from-instance-profile.ts';

const InstanceProfileName = 'box';
const one = { InstanceProfileName, RoleName: 'one' };
const two = { InstanceProfileName, RoleName: 'two' };
const AssumeRolePolicyDocument = JSON.stringify({
  Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ec2.amazonaws.com' } },
});

/** Two roles and an empty profile. */
async function prepared(): Promise<{ registry: MemoryRegistry; made: IdentityCluster }> {
  const registry = new MemoryRegistry();
  const made = await identityCluster({ registry });
  for (const RoleName of ['one', 'two'])
    await createRole({ RoleName, AssumeRolePolicyDocument }, made.context);
  await createInstanceProfile({ InstanceProfileName }, made.context);
  return { registry, made };
}

/** Another process, over this registry. */
function over({ clock, account, context }: IdentityCluster, registry: Registry): IamContext {
  const store = new IdentityStore({ registry, clock, account });
  return { ...context, store, random: new SeededRandom(77) };
}

async function roles({ context }: IdentityCluster): Promise<(string | undefined)[]> {
  const { InstanceProfile } = await getInstanceProfile({ InstanceProfileName }, context);
  return (InstanceProfile?.Roles ?? []).map(({ RoleName }) => RoleName);
}

const written: Moment = { on: 'write', key: 'instance-profiles/box' };
const NONE = { name: 'NoSuchEntityException' };

test('of two who put a role in one does', async () => {
  const { registry, made } = await prepared();
  const slow = over(
    made,
    heldRegistry(registry, [[written, () => addRoleToInstanceProfile(two, made.context)]]),
  );
  await assert.rejects(addRoleToInstanceProfile(one, slow), { name: 'LimitExceededException' });
  assert.deepEqual(await roles(made), ['two']);
});

test('a role that is deleted while it is put in is not in it', async () => {
  const { registry, made } = await prepared();
  const slow = over(made, heldRegistry(registry, [[written, () => deleteRole(one, made.context)]]));
  await assert.rejects(addRoleToInstanceProfile(one, slow), NONE);
  assert.deepEqual(await roles(made), []);
  await addRoleToInstanceProfile(two, made.context);
  assert.deepEqual(await roles(made), ['two']);
});

test('a role that is put in while it is deleted leaves the profile empty, for whoever wants it', async () => {
  const deletedMeanwhile = async () => {
    const { registry, made } = await prepared();
    const removed: Moment = { on: 'write', key: 'roles/one' };
    const slow = over(
      made,
      heldRegistry(registry, [[removed, () => addRoleToInstanceProfile(one, made.context)]]),
    );
    await deleteRole(one, slow);
    // It takes the name alone.
    await createRole({ RoleName: 'one', AssumeRolePolicyDocument }, made.context);
    assert.deepEqual(await roles(made), []);
    return made;
  };
  const put = await deletedMeanwhile();
  await addRoleToInstanceProfile(two, put.context);
  assert.deepEqual(await roles(put), ['two']);
  const removed = await deletedMeanwhile();
  await removeRoleFromInstanceProfile(one, removed.context);
  const { context } = await deletedMeanwhile();
  await deleteInstanceProfile({ InstanceProfileName }, context);
  await assert.rejects(getInstanceProfile({ InstanceProfileName }, context), NONE);
});

test('a profile is deleted or has a role', async () => {
  const { registry, made } = await prepared();
  const slow = over(
    made,
    heldRegistry(registry, [[written, () => addRoleToInstanceProfile(one, made.context)]]),
  );
  await assert.rejects(deleteInstanceProfile({ InstanceProfileName }, slow), {
    name: 'DeleteConflictException',
  });
  assert.deepEqual(await roles(made), ['one']);
});

test('AddRoleToInstanceProfile, cut short, while somebody deletes the role', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const { registry, made } = await prepared();
    const failing = new FailingRegistry(
      heldRegistry(registry, [[written, () => deleteRole(one, made.context)]]),
      at,
    );
    await assert.rejects(addRoleToInstanceProfile(one, over(made, failing)), (error: Error) =>
      ['NoSuchEntityException', 'Crash'].includes(error.name),
    );
    assert.deepEqual(await roles(made), []);
    await addRoleToInstanceProfile(two, made.context);
    assert.deepEqual(await roles(made), ['two']);
    return failing.crashed;
  });
  // The role, and that it is taken out again.
  assert.equal(crashes, 4);
});
