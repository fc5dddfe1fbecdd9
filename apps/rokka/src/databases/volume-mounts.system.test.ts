/** What is taken away where a head has ended, and what stays. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { MOUNT_TYPE, openDevice, readMountTable } from '@rokka/fuse';
import { whySkipped } from '../testing/why-skipped.ts';
import { takeMountAway } from './volume-mounts.ts';

const skip = whySkipped({ root: true }) || (!fs.existsSync('/dev/fuse') && 'needs /dev/fuse');
const timeout = 60_000;

test(
  'the mount of a volume whose head has ended goes with its directory, another volume stays',
  { skip, timeout },
  async () => {
    const at = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-mounts-'));
    const isMounted = () => readMountTable().some(({ mountPoint }) => mountPoint === at);
    // As of a head that hangs: nobody answers.
    const device = openDevice();
    try {
      const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
      const args = ['-i', '-t', MOUNT_TYPE, '-o', options, '--', 'vol-one', at];
      const { status, stderr } = spawnSync('mount', args, {
        stdio: ['ignore', 'ignore', 'pipe', device],
        encoding: 'utf8',
        timeout,
      });
      assert.equal(status, 0, stderr);
      await takeMountAway(at, 'vol-other');
      assert.ok(isMounted());
      await takeMountAway(at, 'vol-one');
      assert.ok(!isMounted());
      assert.ok(!fs.existsSync(at));
      // Nothing is there any more: said again it is no error.
      await takeMountAway(at, 'vol-one');
    } finally {
      if (isMounted()) spawnSync('umount', ['-f', '-l', at], { timeout });
      fs.closeSync(device);
      fs.rmSync(at, { recursive: true, force: true });
    }
  },
);

test('what somebody else has mounted there stays', { skip, timeout }, async () => {
  const at = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-mounts-'));
  try {
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'vol-one', at], { timeout }).status, 0);
    fs.writeFileSync(path.join(at, 'file'), 'theirs');
    await takeMountAway(at, 'vol-one');
    assert.equal(fs.readFileSync(path.join(at, 'file'), 'utf8'), 'theirs');
  } finally {
    spawnSync('umount', ['-l', at], { timeout });
    fs.rmSync(at, { recursive: true, force: true });
  }
});
