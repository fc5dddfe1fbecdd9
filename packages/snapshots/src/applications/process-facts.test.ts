/** Which processes are started again with what they have, and which are nobody's to start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupOf, limitsOf, statusFacts, Unlike } from './process-facts.ts';
import { settingLines } from './redis.ts';

const OWN = {
  CapBnd: '000001ffffffffff',
  NoNewPrivs: '0',
  Seccomp: '0',
};
const SERVER = {
  Umask: '0027',
  Uid: '104\t104\t104\t104',
  Gid: '107\t107\t107\t107',
  Groups: '107 112 ',
  CapInh: '0000000000000000',
  CapPrm: '0000000000000000',
  CapEff: '0000000000000000',
  CapAmb: '0000000000000000',
  ...OWN,
};
const text = (facts: Readonly<Record<string, string>>) =>
  Object.entries(facts)
    .map(([name, value]) => `${name}:\t${value}\n`)
    .join('');

test('the account of a process is told as it has it', () => {
  const facts = { uid: 104, gid: 107, groups: [107, 112], umask: 0o027 };
  assert.deepEqual(statusFacts(text(SERVER), text(OWN)), facts);
  assert.deepEqual(statusFacts(text({ ...SERVER, Groups: '' }), text(OWN)), { ...facts, groups: [] });
});

test('what has more or less than its account gives is not started again', () => {
  const unlike: [Partial<typeof SERVER>, RegExp][] = [
    [{ Uid: '0\t0\t0\t0' }, /runs as root/],
    [{ Uid: '104\t0\t0\t0' }, /more than one account/],
    [{ Gid: '107\t107\t0\t107' }, /more than one account/],
    [{ CapEff: '0000000000000400' }, /capabilities/],
    [{ CapAmb: '0000000000000400' }, /capabilities/],
    [{ CapBnd: '0000000000000000' }, /confined/],
    [{ NoNewPrivs: '1' }, /confined/],
    [{ Seccomp: '2' }, /confined/],
  ];
  for (const [other, why] of unlike)
    assert.throws(
      () => statusFacts(text({ ...SERVER, ...other }), text(OWN)),
      (error: Error) => error instanceof Unlike && why.test(error.message),
      JSON.stringify(other),
    );
});

test('the control group is that of the one hierarchy, or of systemd', () => {
  assert.equal(cgroupOf('0::/system.slice/x.service\n'), '/system.slice/x.service');
  assert.equal(cgroupOf('4:memory:/m\n1:name=systemd:/system.slice/x.service\n'), '/system.slice/x.service');
  assert.equal(cgroupOf('4:memory:/m\n'), '');
});

test('limits are told as they are set again, those that one that starts it can bear', () => {
  const lines = [
    'Limit                     Soft Limit           Hard Limit           Units     ',
    'Max address space         4096                 4096                 bytes     ',
    'Max processes             100                  unlimited            processes ',
    'Max open files            1024                 4096                 files     ',
    'Max nice priority         0                    0                    ',
  ];
  assert.deepEqual(limitsOf(`${lines.join('\n')}\n`), [
    '--nofile=1024:4096',
    '--nproc=100:unlimited',
    '--nice=0:0',
  ]);
});

test('what a Redis server says of its settings is written as it reads them', () => {
  const told = new Map([
    ['port', '6379'],
    ['requirepass', 'a b"c'],
    ['save', '3600 1 300 100'],
    ['bind', '* -::*'],
    ['client-output-buffer-limit', 'normal 0 0 0 slave 1 2 3'],
    ['logfile', ''],
    ['slave-read-only', 'yes'],
  ]);
  assert.deepEqual(settingLines(told), [
    'port "6379"',
    'requirepass "a b\\"c"',
    'save ""',
    'save 3600 1',
    'save 300 100',
    'bind * -::*',
    'client-output-buffer-limit normal 0 0 0',
    'client-output-buffer-limit slave 1 2 3',
  ]);
  assert.deepEqual(settingLines(new Map([['save', '']])), ['save ""']);
});
