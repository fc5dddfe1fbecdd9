/** A disk in memory for one data directory of a test, which can be filled to the last byte and emptied again. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { TestPlace } from './test-place.ts';

const SIZE = '768m';
const BLOCK = Buffer.alloc(1024 ** 2, 0x5a);

export class TinyDisk implements Disposable {
  readonly path: string;
  readonly #ballast: string;

  constructor(place: TestPlace, name: string) {
    this.path = path.join(place.path, name);
    this.#ballast = path.join(this.path, 'ballast');
    fs.mkdirSync(this.path);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'tmpfs', this.path]);
    place.ownMounts.push(this.path);
  }

  fill(): void {
    const fd = fs.openSync(this.#ballast, 'a');
    try {
      for (;;) fs.writeSync(fd, BLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
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
