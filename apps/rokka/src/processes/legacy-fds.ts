/**
 * What outlives a head: open files that its shim holds as well, and gives to each head. While anybody holds the device the mount stays,
 * and whoever uses it waits.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemRandom } from '@rokka/kernel';
import type { DatabaseEngine } from '@rokka/databases';
import { openDevice } from '@rokka/fuse';
import { CHILD_FDS_AT } from '../child.ts';

/** What is seen through a mount outlives its head; PGlite runs in it, and a volume that nobody sees has nothing to outlive it. */
export function hasShim(of: { engine: DatabaseEngine; mounted: boolean }): boolean {
  return of.engine === 'native' || (of.engine === 'files' && of.mounted);
}

/** As a head has them. */
export const LEGACY_FDS = {
  device: CHILD_FDS_AT,
  ramLog: CHILD_FDS_AT + 1,
  opens: CHILD_FDS_AT + 2,
} as const;

/** Memory, where there is such a place: what lies there outlives processes, and no machine. */
const MEMORY_DIRECTORY = '/dev/shm';

export interface LegacyFiles extends Disposable {
  /** In the order of LEGACY_FDS. */
  readonly fds: readonly number[];
}

/** @throws FUSE_NO_DEVICE, FUSE_NOT_PERMITTED */
export function openLegacyFiles(): LegacyFiles {
  const fds = [openDevice(), openUnnamed('log'), openUnnamed('opens')];
  return {
    fds,
    [Symbol.dispose]: () => {
      for (const fd of fds) fs.closeSync(fd);
    },
  };
}

/** Without a name from the beginning, so that nothing is left of it whatever happens. */
function openUnnamed(what: string): number {
  const directory = isWritable(MEMORY_DIRECTORY) ? MEMORY_DIRECTORY : os.tmpdir();
  const file = path.join(directory, `rokka-${what}-${systemRandom.hex(8)}`);
  const fd = fs.openSync(file, 'wx+', 0o600);
  fs.unlinkSync(file);
  return fd;
}

function isWritable(directory: string): boolean {
  try {
    fs.accessSync(directory, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
