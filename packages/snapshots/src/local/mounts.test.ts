import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceOf, mountAt, parseMounts } from './mounts.ts';

const MOUNTINFO = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 7:3 / /srv/with\\040space rw shared:9 master:2 - ext4 /dev/loop3 rw,errors=remount-ro
31 22 7:4 /part /srv/two rw - xfs /dev/loop4 rw,logdev=/dev/sdb
32 22 0:50 / /srv/two rw - tmpfs tmpfs rw
`;

test('whatever fields are optional, and whatever was mounted over it', () => {
  const mounts = parseMounts(MOUNTINFO);
  assert.equal(mounts.length, 4);
  assert.deepEqual(mountAt(mounts, '/srv/with space'), {
    device: '7:3',
    root: '/',
    mountPoint: '/srv/with space',
    type: 'ext4',
    source: '/dev/loop3',
    options: 'rw,errors=remount-ro',
  });
  assert.equal(mountAt(mounts, '/srv/two')?.type, 'tmpfs');
  assert.equal(mountAt(mounts, '/srv'), undefined);
});

test('device numbers as the C library makes them', () => {
  assert.equal(deviceOf(0x703), '7:3');
  assert.equal(deviceOf(65024), '254:0');
  // makedev(259, 300) and makedev(7, 1048576)
  assert.equal(deviceOf(259 * 256 + 44 + 2 ** 20), '259:300');
  assert.equal(deviceOf(7 * 256 + 2 ** 20 * 4096), '7:1048576');
});
