import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { must, SeededRandom, systemRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { identityCluster } from '../testing/identity-cluster.ts';
import { ensureAdministrator } from './administrator.ts';
import { writeAwsProfile } from './aws-profile.ts';
import { createAccessKey } from './operations/create-access-key.ts';
import { deleteAccessKey } from './operations/delete-access-key.ts';
import { deleteUser } from './operations/delete-user.ts';
import { detachUserPolicy } from './operations/detach-user-policy.ts';

const start = (registry: MemoryRegistry, seed = 1) =>
  ensureAdministrator({ registry, clock: new VirtualClock(), random: new SeededRandom(seed) });

test('several that start at once agree', async () => {
  const registry = new MemoryRegistry();
  const made = await Promise.all([1, 2, 3, 4].map((seed) => start(registry.another(), seed)));
  for (const each of made) assert.deepEqual(each, made[0]);
  assert.match(made[0].account, /^[1-9]\d{11}$/);
  assert.match(must(made[0].administrator).secretAccessKey, /^[A-Za-z0-9+/]{40}$/);
});

test('what was deleted later is not made again', async () => {
  const registry = new MemoryRegistry();
  const { context, account } = await identityCluster({ registry });
  const UserName = 'administrator';
  const AccessKeyId = context.credential.accessKeyId;
  const other = await createAccessKey({ UserName }, context);
  await deleteAccessKey({ UserName, AccessKeyId }, context);
  assert.deepEqual(await start(registry, 9), { account, administrator: undefined });
  await deleteAccessKey({ UserName, AccessKeyId: other.AccessKey?.AccessKeyId }, context);
  await detachUserPolicy({ UserName, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' }, context);
  await deleteUser({ UserName }, context);
  assert.deepEqual(await start(registry, 9), { account, administrator: undefined });
  assert.deepEqual(await registry.list('accounts/'), []);
});

const profile = (directory: string, more: object = {}) => ({
  directory,
  accessKeyId: 'AKIAEXAMPLE',
  secretAccessKey: 'secret/one',
  region: 'eu-west-1',
  endpointUrl: 'http://127.0.0.1:4566',
  random: systemRandom,
  ...more,
});

test('the profile: owner only, replaced as a whole, beside others that stay', () => {
  const top = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-profile-'));
  try {
    const directory = path.join(top, 'aws');
    const files = writeAwsProfile(profile(directory));
    assert.equal(
      fs.readFileSync(files.credentials, 'utf8'),
      '[rokka]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret/one\n',
    );
    assert.equal(
      fs.readFileSync(files.config, 'utf8'),
      '[profile rokka]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:4566\n',
    );
    for (const file of Object.values(files)) assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.equal(fs.statSync(directory).mode & 0o777, 0o700);
    const others =
      '[default]\naws_access_key_id = X\n\n[rokka]\nold = 1\n[work]\n# kept\naws_access_key_id = Y\n';
    fs.writeFileSync(files.credentials, others);
    writeAwsProfile(profile(directory, { secretAccessKey: 'secret/two' }));
    assert.equal(
      fs.readFileSync(files.credentials, 'utf8'),
      '[default]\naws_access_key_id = X\n\n[work]\n# kept\naws_access_key_id = Y\n\n' +
        '[rokka]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret/two\n',
    );
    const text = fs.readFileSync(files.credentials, 'utf8');
    writeAwsProfile(profile(directory, { secretAccessKey: 'secret/two' }));
    assert.equal(fs.readFileSync(files.credentials, 'utf8'), text, 'written again it is the same');
    assert.deepEqual(
      fs.readdirSync(directory).sort(),
      ['config', 'credentials'],
      'nothing is left beside them',
    );
    fs.rmSync(files.credentials);
    fs.mkdirSync(files.credentials);
    assert.throws(() => writeAwsProfile(profile(directory)), { code: 'IDENTITY_BAD_PROFILE' });
  } finally {
    fs.rmSync(top, { recursive: true });
  }
});
