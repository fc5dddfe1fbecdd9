/** Decisions follow what is stored, at once in this process and within the stated time in another one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { type IdentityCluster, identityCluster } from '../testing/identity-cluster.ts';
import { IdentityAuthorizer } from './identity-authorizer.ts';
import { IdentityCredentials } from './identity-credentials.ts';
import { IdentityStore } from './identity-store.ts';
import { addUserToGroup } from './operations/add-user-to-group.ts';
import { attachUserPolicy } from './operations/attach-user-policy.ts';
import { createAccessKey } from './operations/create-access-key.ts';
import { createGroup } from './operations/create-group.ts';
import { createPolicy } from './operations/create-policy.ts';
import { createPolicyVersion } from './operations/create-policy-version.ts';
import { createUser } from './operations/create-user.ts';
import { detachUserPolicy } from './operations/detach-user-policy.ts';
import { putGroupPolicy } from './operations/put-group-policy.ts';
import { putUserPolicy } from './operations/put-user-policy.ts';
import { updateAccessKey } from './operations/update-access-key.ts';
import { entityKey } from './documents.ts';
import { PolicyCache } from './policy-cache.ts';

const request = { action: 'rds:DeleteDBCluster', resource: 'arn:aws:rds:eu-west-1:1:cluster:a', context: {} };
const policy = (Effect: string) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect, Action: 'rds:*', Resource: '*' }] });

async function ann(made: IdentityCluster): Promise<string> {
  await createUser({ UserName: 'ann' }, made.context);
  return must((await createAccessKey({ UserName: 'ann' }, made.context)).AccessKey?.AccessKeyId);
}

/** What another process over the same registry has. */
function elsewhere(made: IdentityCluster, registry: MemoryRegistry) {
  const { clock, account } = made;
  const store = new IdentityStore({ registry: registry.another(), clock, account, staleMsMax: 2000 });
  return {
    credentials: new IdentityCredentials({ store, clock }),
    authorizer: new IdentityAuthorizer({ store, policies: new PolicyCache(), clock }),
  };
}

test('what is changed counts at the next call', async () => {
  const made = await identityCluster();
  const { context } = made;
  const key = await ann(made);
  assert.equal(await made.decide(key, request), 'implicitDeny');
  await putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument: policy('Allow') }, context);
  assert.equal(await made.decide(key, request), 'allowed');
  const PolicyArn = must(
    (await createPolicy({ PolicyName: 'm', PolicyDocument: policy('Deny') }, context)).Policy?.Arn,
  );
  await attachUserPolicy({ UserName: 'ann', PolicyArn }, context);
  assert.equal(await made.decide(key, request), 'explicitDeny');
  await createPolicyVersion({ PolicyArn, PolicyDocument: policy('Allow'), SetAsDefault: true }, context);
  assert.equal(await made.decide(key, request), 'allowed');
  await createGroup({ GroupName: 'g' }, context);
  await putGroupPolicy({ GroupName: 'g', PolicyName: 'p', PolicyDocument: policy('Deny') }, context);
  assert.equal(await made.decide(key, request), 'allowed');
  await addUserToGroup({ GroupName: 'g', UserName: 'ann' }, context);
  assert.equal(await made.decide(key, request), 'explicitDeny');
});

test('a key that was deactivated during a call is not allowed anything more', async () => {
  const made = await identityCluster();
  const id = made.administrator.accessKeyId;
  const before = await made.as(id);
  assert.equal(await made.authorizer.decide({ ...request, credential: before.credential }), 'allowed');
  await updateAccessKey({ UserName: 'administrator', AccessKeyId: id, Status: 'Inactive' }, made.context);
  assert.equal(await made.authorizer.decide({ ...request, credential: before.credential }), 'implicitDeny');
});

test('another process notices within the stated time', async () => {
  const registry = new MemoryRegistry();
  const made = await identityCluster({ registry });
  const key = await ann(made);
  const other = elsewhere(made, registry);
  const credential = must(await other.credentials.find(key));
  assert.equal(await other.authorizer.decide({ ...request, credential }), 'implicitDeny');
  await putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument: policy('Allow') }, made.context);
  await updateAccessKey({ UserName: 'ann', AccessKeyId: key, Status: 'Inactive' }, made.context);
  assert.ok(await other.credentials.find(key), 'it cannot know yet');
  made.clock.advanceTo(made.clock.nowMs() + 2000);
  assert.equal(await other.credentials.find(key), undefined);
  assert.equal(await other.authorizer.decide({ ...request, credential }), 'implicitDeny');
});

test('a key that another process made is found at once', async () => {
  const registry = new MemoryRegistry();
  const made = await identityCluster({ registry });
  const other = elsewhere(made, registry);
  assert.equal(await other.credentials.find('AKIAAAAAAAAAAAAAAAAA'), undefined);
  const key = await ann(made);
  assert.ok(await other.credentials.find(key));
});

test('whoever has a policy that is not there may do nothing, until it is detached', async () => {
  const made = await identityCluster();
  const { context, store, account } = made;
  const key = await ann(made);
  await putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument: policy('Allow') }, context);
  const PolicyArn = must(
    (await createPolicy({ PolicyName: 'm', PolicyDocument: policy('Allow') }, context)).Policy?.Arn,
  );
  await attachUserPolicy({ UserName: 'ann', PolicyArn }, context);
  assert.equal(await made.decide(key, request), 'allowed');
  // What DeletePolicy refuses to do: this is what two processes and a crash could still leave.
  await store.update(entityKey(account, 'policies', 'm'), () => undefined);
  assert.equal(await made.decide(key, request), 'implicitDeny');
  await createPolicy({ PolicyName: 'm', PolicyDocument: policy('Allow') }, context);
  assert.equal(await made.decide(key, request), 'implicitDeny', 'a policy of the same name is another one');
  await detachUserPolicy({ UserName: 'ann', PolicyArn }, context);
  assert.equal(await made.decide(key, request), 'allowed');
});

test('not even by way of a group', async () => {
  const made = await identityCluster();
  const { context, store, account } = made;
  const key = await ann(made);
  await createGroup({ GroupName: 'g' }, context);
  await putGroupPolicy({ GroupName: 'g', PolicyName: 'p', PolicyDocument: policy('Allow') }, context);
  await addUserToGroup({ GroupName: 'g', UserName: 'ann' }, context);
  const PolicyArn = must(
    (await createPolicy({ PolicyName: 'm', PolicyDocument: policy('Allow') }, context)).Policy?.Arn,
  );
  await attachUserPolicy({ UserName: 'ann', PolicyArn }, context);
  assert.equal(await made.decide(key, request), 'allowed');
  await store.update(entityKey(account, 'policies', 'm'), () => undefined);
  assert.equal(await made.decide(key, request), 'implicitDeny');
  await detachUserPolicy({ UserName: 'ann', PolicyArn }, context);
  assert.equal(await made.decide(key, request), 'allowed');
  await store.update(entityKey(account, 'groups', 'g'), () => undefined);
  assert.equal(await made.decide(key, request), 'implicitDeny', 'a group that is gone might have denied');
});

test('keys that cannot be are not looked for', async () => {
  const { credentials } = await identityCluster();
  for (const id of ['', 'AKIA', '../../x', 'AKIAaaaaaaaaaaaaaaaa', 'ASIA/AAAAAAAAAAAAAAA', 'X'.repeat(600)])
    assert.equal(await credentials.find(id), undefined);
});
