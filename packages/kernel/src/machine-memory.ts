/** How much memory there is to share out. */
import * as os from 'node:os';

/** Bytes. A container's limit counts; without one that is a number beyond every machine. */
export function machineMemoryBytes(): number {
  return Math.min(os.totalmem(), process.constrainedMemory() || Infinity);
}
