/** A disk of its own that a test can fill, mounted below the test's place, with ballast to take away again. */
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { TestPlace } from './test-place.ts';

const SIZE_BYTES = 2 * 1024 ** 3;
const MEMORY_BYTES = 768 * 1024 ** 2;
const BLOCK = Buffer.alloc(1024 ** 2, 0x5a);

export class SmallDisk implements Disposable {
  readonly path: string;
  readonly #place: TestPlace;
  readonly #ballast: string;

  private constructor(place: TestPlace, name: string, mountArgs: readonly string[]) {
    this.#place = place;
    this.path = path.join(place.path, name);
    this.#ballast = path.join(this.path, 'ballast');
    fs.mkdirSync(this.path);
    execFileSync('mount', [...mountArgs, this.path]);
    place.ownMounts.push(this.path);
  }

  /** ext4 in a file. The place's data directory moves onto it. */
  static forData(place: TestPlace): SmallDisk {
    const image = path.join(place.path, 'disk.img');
    fs.writeFileSync(image, '');
    fs.truncateSync(image, SIZE_BYTES);
    // No reserve for root, who would otherwise never see it full.
    execFileSync('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', image]);
    const disk = new SmallDisk(place, 'disk', ['-o', 'loop', image]);
    place.data = path.join(disk.path, 'data');
    return disk;
  }

  /** In memory, for one data directory of several: its name in the place. */
  static inMemory(place: TestPlace, name: string): SmallDisk {
    return new SmallDisk(place, name, ['-t', 'tmpfs', '-o', `size=${MEMORY_BYTES},mode=0700`, 'tmpfs']);
  }

  /** Undefined where this machine can mount one for data, else the reason for people. */
  static get missing(): string | undefined {
    if (process.getuid?.() !== 0) return 'root is needed, to mount a small disk';
    if (spawnSync('mkfs.ext4', ['-V']).status !== 0) return 'mkfs.ext4 is not installed';
    return spawnSync('losetup', ['--find']).status === 0 ? undefined : 'there is no free loop device';
  }

  get freeBytes(): number {
    const { bavail, bsize } = fs.statfsSync(this.path);
    return bavail * bsize;
  }

  /** Leaves so much free. */
  fill(leaveBytes: number): void {
    // At once and without writing it; what others write meanwhile is made up for below.
    const most = this.freeBytes - leaveBytes;
    const ballastBytes = fs.existsSync(this.#ballast) ? fs.statSync(this.#ballast).size : 0;
    if (most > BLOCK.length)
      spawnSync('fallocate', ['-o', String(ballastBytes), '-l', String(most), this.#ballast]);
    const fd = fs.openSync(this.#ballast, 'a');
    try {
      while (this.freeBytes > leaveBytes) {
        const some = Math.min(BLOCK.length, this.freeBytes - leaveBytes);
        if (fs.writeSync(fd, BLOCK, 0, some) === 0) break;
      }
    } catch (error) {
      // Others write, too.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      fs.closeSync(fd);
    }
  }

  free(): void {
    fs.rmSync(this.#ballast, { force: true });
  }

  [Symbol.dispose](): void {
    this.#place.noteSockets();
    execFileSync('umount', [this.path]);
  }
}
