/** Which mounts a restored server must not write to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMounts } from './restored-server.ts';

test('mounts that hold files are found by their real names, each once', () => {
  const mountinfo = [
    '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
    '23 22 0:20 / /proc rw,nosuid - proc proc rw',
    '24 22 0:21 / /mnt/a\\040b\\134c rw,nosuid,nodev shared:2 master:3 - fuse.rokka rokka rw',
    '25 22 0:22 / /snap ro,nodev - squashfs /dev/loop0 ro',
    '26 22 0:23 / /mnt/ro rw - ext4 /dev/sdb ro',
    '27 22 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
    '',
  ].join('\n');
  assert.deepEqual(parseMounts(mountinfo), ['/', '/mnt/a b\\c', '/mnt/ro']);
});
