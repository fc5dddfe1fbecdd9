/**
 * A file in memory: the end of a process does not reach it, only that of the machine, or of whoever holds it open. What was written is
 * there when the call returns.
 */
import * as fs from 'node:fs';

export interface RamFile {
  /** Writes the parts one behind the other. False where memory is short: how much of them is there is not known then. */
  write(parts: readonly Uint8Array[], at: number): boolean;
  /** Answers how many bytes there were. */
  read(into: Uint8Array, at: number): number;
  truncate(sizeBytes: number): void;
}

/** @param fd of a file on tmpfs; it stays the caller's */
export function ramFile(fd: number): RamFile {
  return {
    write(parts, at) {
      const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0);
      try {
        return fs.writevSync(fd, parts, at) === sizeBytes;
      } catch (error) {
        if (isMemoryShort(error)) return false;
        throw error;
      }
    },
    read: (into, at) => fs.readSync(fd, into, 0, into.length, at),
    truncate: (sizeBytes) => fs.ftruncateSync(fd, sizeBytes),
  };
}

/** It is full, its group of processes may have no more, or its user. */
function isMemoryShort(error: unknown): boolean {
  return ['ENOSPC', 'ENOMEM', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}
