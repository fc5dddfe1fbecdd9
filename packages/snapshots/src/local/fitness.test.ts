/** Each refusal alone; the system tests meet the same ones on real mounts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstUnfit, type MountFacts } from './fitness.ts';
import type { LoopDevice } from './loop-device.ts';
import type { Mount } from './mounts.ts';

function fit(of: { mount?: Partial<Mount>; loop?: Partial<LoopDevice>; at?: number } = {}): MountFacts {
  const { at = 3 } = of;
  const mountPoint = of.mount?.mountPoint ?? `/srv/${at}`;
  const source = `/dev/loop${at}`;
  return {
    mountPoint,
    mount: { device: `7:${at}`, root: '/', mountPoint, type: 'ext4', source, options: 'rw', ...of.mount },
    loop: { name: source, backingFile: `/images/${at}`, backingDevice: '8:1', isWhole: true, ...of.loop },
    below: ['8:1'],
  };
}

const why = (facts: MountFacts[], needed: [string, string][] = []) =>
  firstUnfit({ facts, needed: new Map(needed) })?.why;

test('two of them on one store are fit', () => {
  assert.equal(why([fit(), fit({ at: 4, mount: { type: 'xfs' } })], [['8:1', 'the store']]), undefined);
  assert.equal(why([]), undefined);
});

test('what cannot be frozen or copied is named, with why', () => {
  const { loop: _, ...withoutLoop } = fit();
  assert.match(why([{ mountPoint: '/srv/3', below: [] }]) ?? '', /nothing is mounted/);
  assert.match(why([fit({ mount: { mountPoint: '/' } })]) ?? '', /the machine itself/);
  for (const type of ['nfs4', 'fuse.sshfs', 'overlay', 'btrfs', 'tmpfs'])
    assert.match(why([fit({ mount: { type } })]) ?? '', new RegExp(`of the type ${type}`));
  assert.match(why([fit({ mount: { root: '/part' } })]) ?? '', /bind mount/);
  for (const option of ['logdev', 'rtdev'])
    assert.match(
      why([fit({ mount: { type: 'xfs', options: `rw,${option}=/dev/sdb,noquota` } })]) ?? '',
      new RegExp(`\\(${option}=/dev/sdb\\)`),
    );
  assert.match(why([withoutLoop]) ?? '', /no loop device/);
  assert.match(why([fit({ loop: { isWhole: false } })]) ?? '', /only a part of/);
  const { loop, ...rest } = fit();
  const { backingDevice: __, ...moved } = loop ?? { name: '', backingFile: '', isWhole: true };
  assert.match(why([{ ...rest, loop: moved }]) ?? '', /no longer at/);
});

test('what two need of each other, and what Rokka needs', () => {
  assert.match(
    why([fit(), fit({ mount: { mountPoint: '/srv/again' } })]) ?? '',
    /same file system as \/srv\/3/,
  );
  const store = fit({ at: 9 });
  const above = { ...fit(), below: ['7:9', '8:1'] };
  assert.match(why([above, store]) ?? '', /the file behind \/srv\/3 lies on it/);
  assert.match(why([store, above]) ?? '', /the file behind \/srv\/3 lies on it/);
  assert.equal(why([fit()], [['7:3', 'the data']]), 'the data lies on it, and would be frozen too');
});
