/** Where a volume is mounted is told by mounts of root alone, or of whom this process is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountPointIn } from './own-instance.ts';

const fuse = (at: string, user: number) =>
  `vol-1 ${at} fuse rw,nosuid,nodev,relatime,user_id=${user},group_id=0,allow_other 0 0\n`;

test('a mount of another user is no volume, whatever he calls it', () => {
  const others = `vol-10 /v10 ext4 rw 0 0\n${fuse('/home/eve/v', 1001)}`;
  assert.equal(mountPointIn(others, 'vol-1', 0), undefined);
  assert.equal(mountPointIn(others + fuse('/run/v', 0), 'vol-1', 0), '/run/v');
  assert.equal(mountPointIn(fuse('/run/v', 0), 'vol-1', 1000), '/run/v');
  assert.equal(mountPointIn(fuse('/run/v', 1000), 'vol-1', 1000), '/run/v');
  assert.equal(mountPointIn(others, 'vol-10', 0), '/v10');
});
