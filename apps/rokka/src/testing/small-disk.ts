/** A disk of its own that a test can fill: ext4 in a file, mounted below the test's place, with ballast to take away again. */
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { TestPlace } from './test-place.ts';

const SIZE_BYTES = 1024 ** 3;
const BLOCK = Buffer.alloc(1024 ** 2, 0x5a);

export class SmallDisk implements Disposable {
  readonly path: string;
  readonly #ballast: string;

  /** The place's data directory moves onto it. */
  constructor(place: TestPlace) {
    const image = path.join(place.path, 'disk.img');
    this.path = path.join(place.path, 'disk');
    this.#ballast = path.join(this.path, 'ballast');
    fs.mkdirSync(this.path);
    fs.writeFileSync(image, '');
    fs.truncateSync(image, SIZE_BYTES);
    // No reserve for root, who would otherwise never see it full.
    execFileSync('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', image]);
    execFileSync('mount', ['-o', 'loop', image, this.path]);
    place.ownMounts.push(this.path);
    place.data = path.join(this.path, 'data');
  }

  /** Undefined where this machine can, else the reason for people. */
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
    const fd = fs.openSync(this.#ballast, 'a');
    try {
      while (this.freeBytes > leaveBytes + BLOCK.length) fs.writeSync(fd, BLOCK);
    } finally {
      fs.closeSync(fd);
    }
  }

  free(): void {
    fs.rmSync(this.#ballast, { force: true });
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.path]);
  }
}
