/**
 * Which paths of a server lie on the volumes of a snapshot.
 *
 * Where a volume is the root of a file system, a path is on it when its device is the volume's: that holds through symbolic links, bind
 * mounts and other mount namespaces, where names say nothing.
 */
import * as fs from 'node:fs/promises';
import type { DiscoverOptions } from '../writer.ts';
import { isPlaced, type PlacedVolume, placeVolumes } from './placement.ts';

export class Placement {
  readonly #volumes: readonly PlacedVolume[];

  private constructor(volumes: readonly PlacedVolume[]) {
    this.#volumes = volumes;
  }

  /** @throws the system's error where a mount point cannot be looked at */
  static async of({ volumes, signal }: DiscoverOptions): Promise<Placement> {
    return new Placement(await placeVolumes(volumes, signal));
  }

  /** What is not there is on no volume. */
  async holds(file: string): Promise<boolean> {
    const status = await fs.stat(file).catch(() => undefined);
    if (!status) return false;
    if (this.#volumes.some(({ whole, device }) => whole && device === status.dev)) return true;
    // A path through another mount namespace has no real name here: of it the device alone can tell.
    const real = await fs.realpath(file).catch(() => undefined);
    return real !== undefined && isPlaced(this.#volumes, { path: real, device: status.dev });
  }
}
