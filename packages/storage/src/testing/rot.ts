/** Bits that rot in the files of a node that is not running. */
import { must, type MemoryDisk } from '@rokka/kernel';
import { BATCH_ALIGN_BYTES } from '../log-format.ts';

/** Flips a bit in one batch of the newest log file: the one that holds the given part of what is in it. */
export function rotLog(disk: MemoryDisk, part = 0.5): void {
  const logs = [...disk.files]
    .filter(([path]) => path.startsWith('node/log/'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  // The file after the newest is made beforehand, and empty.
  const [, file] = must(logs.findLast(([, { bytes }]) => bytes.some((byte) => byte !== 0)));
  const { bytes, synced } = file;
  const end = bytes.findLastIndex((byte) => byte !== 0);
  // Not the first batch, which is the manifest that the file begins with; the last one would look torn.
  const batch = Math.max(1, Math.floor((end * part) / BATCH_ALIGN_BYTES)) * BATCH_ALIGN_BYTES;
  const at = bytes.findIndex((byte, i) => i > batch && byte !== 0);
  bytes[at] = synced[at] = must(bytes[at]) ^ 1;
}
