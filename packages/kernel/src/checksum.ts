/** CRC-32 (ISO 3309), by the C code in zlib: about 1 GB/s and no table of our own. */
import * as zlib from 'node:zlib';

/** Checksum of `bytes`, continued from `seed`: crc32(b, crc32(a)) is the checksum of a followed by b. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlib.crc32(bytes, seed);
}
