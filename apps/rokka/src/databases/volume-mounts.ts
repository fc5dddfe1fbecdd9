/**
 * Where volumes without a server are mounted: below /run, which every account may pass through and a reboot empties; a data
 * directory is its owner's alone. Each cluster has a directory of its own, each mount a name in it.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { MOUNT_TYPE, readMountTable, removeDeadMounts, unmount } from '@rokka/fuse';

const BASE = '/run/rokka';
const SWEEP_MS = 5_000;
/** Of the cluster's id: enough to tell clusters of one machine apart. */
const ID_CHARACTERS = 8;

const mountsOf = (cluster: string) => path.join(BASE, cluster.slice(0, ID_CHARACTERS));

export const mountPointOf = (cluster: string, mount: string) => path.join(mountsOf(cluster), mount);

/**
 * Of a cluster of which nothing runs: what it left when it was killed, and the directory itself where nothing is left in it.
 * @throws FUSE_UNMOUNT_FAILED, FUSE_NO_MOUNT_PROGRAM, KERNEL_DEADLINE
 */
export async function sweepMounts(cluster: string): Promise<void> {
  const mounts = mountsOf(cluster);
  const removed = await removeDeadMounts(mounts, { clock: systemClock, timeoutMs: SWEEP_MS });
  // One that somebody put files into stays.
  for (const directory of [...removed, mounts]) await fs.rmdir(directory).catch(() => {});
}

/**
 * Of a head of this volume that was killed, whose processes may be just dying: what is asked through the mount from now on fails. What is
 * mounted there of another volume stays.
 * @throws FUSE_UNMOUNT_FAILED, FUSE_NO_MOUNT_PROGRAM, KERNEL_DEADLINE, what starting a program throws
 */
export async function takeMountAway(mountPoint: string, volume: string): Promise<void> {
  const mounted = readMountTable().findLast((entry) => entry.mountPoint === mountPoint);
  if (mounted && (mounted.type !== MOUNT_TYPE || mounted.source !== volume)) return;
  if (mounted) await unmount(mountPoint, { how: 'abort', clock: systemClock, timeoutMs: SWEEP_MS });
  // One that somebody put files into stays.
  await fs.rmdir(mountPoint).catch(() => {});
}
