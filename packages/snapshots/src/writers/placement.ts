/**
 * Which paths lie on the volumes of a snapshot, and that what lies there is on the disk.
 *
 * A path is on a volume when its device is the volume's: that holds through symbolic links, bind mounts and other mount
 * namespaces, where names say nothing, and does not hold for another file system that is mounted below. Where a volume is given as
 * a directory that is no mount of its own, the path must be below it as well.
 */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { promisify } from 'node:util';
import type { MountedVolume } from '../writer.ts';

interface Place {
  readonly device: number;
  /** Where only what is below counts. */
  readonly below?: string;
}

export class Placement {
  readonly #places: readonly Place[];

  private constructor(places: readonly Place[]) {
    this.#places = places;
  }

  /** @throws the system's error where a mount point cannot be looked at */
  static async of(volumes: readonly MountedVolume[]): Promise<Placement> {
    return new Placement(await Promise.all(volumes.map(({ mountPoint }) => placeOf(mountPoint))));
  }

  /** What is not there is on no volume. */
  async holds(file: string): Promise<boolean> {
    const status = await fs.stat(file).catch(() => undefined);
    if (!status) return false;
    for (const place of this.#places) {
      if (place.device !== status.dev) continue;
      if (place.below === undefined || isBelow(await fs.realpath(file), place.below)) return true;
    }
    return false;
  }
}

async function placeOf(mountPoint: string): Promise<Place> {
  const real = await fs.realpath(mountPoint);
  const device = (await fs.stat(real)).dev;
  const isMount = real === '/' || (await fs.stat(path.dirname(real))).dev !== device;
  return isMount ? { device } : { device, below: real };
}

/** Whether it is the directory itself or in it; both are real paths. */
export function isBelow(file: string, directory: string): boolean {
  return file === directory || file.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}

/**
 * Everything that was written to the file systems of these paths is on their devices afterwards (syncfs(2)). Servers do not do it
 * themselves for all they have: MyISAM leaves it to the kernel, and Redis to its next second.
 */
export async function syncFileSystems(paths: readonly string[], signal: AbortSignal): Promise<void> {
  await promisify(execFile)('sync', ['-f', ...paths], { signal });
}
