/**
 * What outlives a head: open files that its shim holds as well, and gives to each head. While anybody holds the device the mount stays,
 * and whoever uses it waits.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemRandom } from '@rokka/kernel';
import type { DatabaseEngine } from '@rokka/databases';
import { type Legacy, openDevice, OpenCounts, TouchedRows } from '@rokka/fuse';
import { ramFile, RamLog } from '@rokka/volume';
import { CHILD_FDS_AT } from '../child.ts';

/** What is seen through a mount outlives its head; PGlite runs in it, and a volume that nobody sees has nothing to outlive it. */
export function hasShim(of: { engine: DatabaseEngine; mounted: boolean }): boolean {
  return of.engine === 'native' || (of.engine === 'files' && of.mounted);
}

/** Whether the kernel can send again what a killed head has not answered (FUSE_NOTIFY_RESEND, since 6.9): else no other takes over. */
export function kernelResends(release = os.release()): boolean {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 9);
}

/** As a head has them. */
const DEVICE_FD = CHILD_FDS_AT;
const RAM_LOG_FDS = [CHILD_FDS_AT + 1, CHILD_FDS_AT + 2] as const;
const OPENS_FD = CHILD_FDS_AT + 3;
const TOUCHED_FD = CHILD_FDS_AT + 4;

/** Memory, where there is such a place: what lies there outlives processes, and no machine. */
const MEMORY_DIRECTORY = '/dev/shm';

export interface LegacyFiles extends Disposable {
  /** In the order in which a head has them. */
  readonly fds: readonly number[];
}

/** @throws FUSE_NO_DEVICE, FUSE_NOT_PERMITTED */
export function openLegacyFiles(): LegacyFiles {
  const fds = [openDevice(), ...['log-1', 'log-2', 'opens', 'touched'].map(openUnnamed)];
  return {
    fds,
    [Symbol.dispose]: () => {
      for (const fd of fds) fs.closeSync(fd);
    },
  };
}

/** What a head of a shim works with. */
export interface HeadLegacy {
  /** To be mounted, or mounted. */
  readonly device: number;
  readonly ramLog: RamLog;
  readonly legacy: Legacy;
}

/** Of a head that begins anew, or that goes on with what the one before has left. */
export function headLegacy(): HeadLegacy {
  const ramLog = new RamLog([ramFile(RAM_LOG_FDS[0]), ramFile(RAM_LOG_FDS[1])]);
  const onFull = () => ramLog.end();
  const opens = new OpenCounts(OPENS_FD, onFull);
  const touched = new TouchedRows(TOUCHED_FD, onFull);
  return { device: DEVICE_FD, ramLog, legacy: { changes: ramLog, opens, touched } };
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
