/** Which files are on which volumes: what is below a mount point, but not below another mount in it, and by its real path. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { MountedVolume } from '../writer.ts';
import { obeying } from './obeying.ts';

export interface PlacedVolume {
  /** Without symbolic links. */
  readonly root: string;
  readonly device: number;
  /** The mount point is the root of a file system: each of its inodes is on the volume, by whatever path it is open. */
  readonly whole: boolean;
}

/** @throws what the system says of a mount point that is not there */
export async function placeVolumes(
  volumes: readonly Pick<MountedVolume, 'mountPoint'>[],
  signal: AbortSignal,
): Promise<readonly PlacedVolume[]> {
  const placed: PlacedVolume[] = [];
  for (const { mountPoint } of volumes) {
    const root = await obeying(fs.realpath(mountPoint), signal);
    const { dev } = await obeying(fs.stat(root), signal);
    const above = await obeying(fs.stat(path.dirname(root)), signal);
    placed.push({ root, device: dev, whole: above.dev !== dev });
  }
  return placed;
}

/** Of a real path. */
export function isPlaced(
  volumes: readonly PlacedVolume[],
  file: { readonly path: string; readonly device: number },
): boolean {
  return volumes.some(({ root, device }) => device === file.device && isBelow(root, file.path));
}

export function isBelow(root: string, file: string): boolean {
  return file === root || file.startsWith(root === '/' ? root : `${root}/`);
}
