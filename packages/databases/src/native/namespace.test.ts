import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confinedCommand } from './confinement.ts';
import { mountBase } from './mount-base.ts';
import { mountPrivilege, namespaceCommand, requirePrivateNamespace } from './namespace.ts';

const LINUX = { skip: process.platform !== 'linux' && 'namespaces are Linux’s' };
const INNER = { command: 'node', args: ['head.ts'] };

const status = (uid: number, capabilities: string) =>
  `Name:\tnode\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\nCapEff:\t${capabilities}\n`;

test('root without its capabilities is an ordinary user', () => {
  assert.equal(mountPrivilege(status(0, '000001ffffffffff')), 'root');
  assert.equal(mountPrivilege(status(0, '00000000a80425fb')), 'user', 'a container’s usual set');
  assert.equal(mountPrivilege(status(1000, '0000000000000000')), 'user');
});

test('a user namespace only where it is needed, the guard inside of it', LINUX, () => {
  const root = namespaceCommand(INNER, { privilege: 'root' });
  const user = namespaceCommand(INNER, { privilege: 'user' });
  assert.equal(root.command, 'unshare');
  assert.ok(!root.args.includes('--user'));
  assert.ok(user.args.indexOf('--user') < user.args.indexOf('--pdeathsig'));
  assert.deepEqual(user.args.slice(-2), ['node', 'head.ts']);
  assert.ok(!namespaceCommand(INNER, { privilege: 'root', dieWithParent: false }).args.includes('setpriv'));
});

test('nothing is staged outside of a private namespace', LINUX, () => {
  assert.throws(requirePrivateNamespace, { code: 'DATABASE_NOT_PRIVATE' });
});

test('the parent-death signal is set again after the change of account, which clears it', () => {
  const account = { name: 'postgres', uid: 101, gid: 104, how: 'switch' as const };
  const words = confinedCommand(INNER, account).args;
  assert.ok(words.lastIndexOf('--pdeathsig') > words.indexOf('--reuid=101'));
  const mapped = confinedCommand(INNER, { ...account, how: 'map' }).args;
  assert.ok(mapped.includes('--map-user=101') && !mapped.some((word) => word.startsWith('--reuid')));
});

test('the covered directory is one that hides nothing that is needed', LINUX, () => {
  const base = mountBase(['/home/x']);
  assert.notEqual(mountBase([`${base}/disk1/data`]), base);
  assert.notEqual(mountBase([base]), base);
  assert.equal(mountBase([`${base}-other`]), base);
});
