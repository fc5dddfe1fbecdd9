import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseAccount, fileOwner } from './account.ts';

const PASSWD = [
  'root:x:0:0:root:/root:/bin/bash',
  'nobody:x:65534:65533:nobody:/:/bin/false',
  'postgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash',
  'alice:x:1000:1001:Alice:/home/alice:/bin/bash',
  '',
].join('\n');
const ROOT = { passwd: PASSWD, uidMap: '         0          0 4294967295\n', setgroups: 'allow\n' };

test('root switches to the best account there is', () => {
  assert.deepEqual(chooseAccount(ROOT), { name: 'postgres', uid: 101, gid: 104, how: 'switch' });
  assert.deepEqual(chooseAccount(ROOT, 'alice'), { name: 'alice', uid: 1000, gid: 1001, how: 'switch' });
  assert.deepEqual(fileOwner(chooseAccount(ROOT)), { uid: 101, gid: 104 });
});

test('never root, not even when asked', () => {
  assert.throws(() => chooseAccount(ROOT, 'root'), { code: 'DATABASE_NO_ACCOUNT' });
});

test('an account that the container does not map is passed over', () => {
  const facts = { ...ROOT, uidMap: '0 100000 60000\n' };
  assert.equal(chooseAccount({ ...facts, passwd: PASSWD.replace(/postgres.*\n/, '') }, 'alice').uid, 1000);
  assert.throws(() => chooseAccount(facts, 'nobody'), { code: 'DATABASE_NO_ACCOUNT' });
});

test('an ordinary user’s server has his own number, by which initdb finds a name', () => {
  const facts = { ...ROOT, uidMap: '0 1000 1\n', setgroups: 'deny\n' };
  const account = chooseAccount(facts);
  assert.deepEqual(account, { name: 'alice', uid: 1000, gid: 1001, how: 'map' });
  assert.deepEqual(fileOwner(account), { uid: 0, gid: 0 });
});

test('a user whom the machine cannot name is nobody', () => {
  const facts = { ...ROOT, uidMap: '0 4242 1\n', setgroups: 'deny\n' };
  assert.equal(chooseAccount(facts).name, 'nobody');
});
