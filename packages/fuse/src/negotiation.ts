/**
 * INIT: what kernel and server agree on when a mount begins. Pure: the kernel's offer in, the reply's body out.
 * (struct fuse_init_in and fuse_init_out; fs/fuse/inode.c, process_init_reply.)
 *
 * Left out on purpose: WRITEBACK_CACHE (a write would be answered before the filesystem has seen it, and one 8 KiB page
 * write would no longer be one request), POSIX_LOCKS and FLOCK_LOCKS (locks are local to this one machine anyway, and
 * the kernel does them better), EXPORT_SUPPORT (no NFS), AUTO_INVAL_DATA (nobody else writes, so nothing is stale).
 */
import { fuseErrors } from './errors.ts';
import {
  FUSE_MAJOR,
  FUSE_MINOR,
  FUSE_MINOR_LEAST,
  INIT_FLAG,
  INIT_FLAG2,
  IO_BYTES_MAX,
  IO_PAGES_MAX,
  STRUCT_BYTES,
} from './protocol.ts';

export interface KernelOffer {
  readonly major: number;
  readonly minor: number;
  readonly readaheadBytesMax: number;
  readonly flags: number;
  readonly flags2: number;
}

export interface Agreement {
  readonly minor: number;
  readonly flags: number;
  readonly flags2: number;
  readonly readaheadBytesMax: number;
  /** Whether open files may be mapped shared although their I/O is direct. */
  readonly directMmap: boolean;
  /** Whether the kernel can send again to another server what this one has not answered. */
  readonly resends: boolean;
}

/** Asynchronous requests (readahead, AIO, writeback of mapped pages) that the kernel keeps on the way at once. */
const BACKGROUND_MAX = 128;
const CONGESTION_THRESHOLD = 96;
const READAHEAD_BYTES_MAX = 1024 * 1024;

const WANTED =
  INIT_FLAG.ASYNC_READ |
  INIT_FLAG.ATOMIC_O_TRUNC |
  INIT_FLAG.BIG_WRITES |
  INIT_FLAG.DO_READDIRPLUS |
  INIT_FLAG.READDIRPLUS_AUTO |
  INIT_FLAG.ASYNC_DIO |
  INIT_FLAG.PARALLEL_DIROPS |
  INIT_FLAG.MAX_PAGES |
  INIT_FLAG.CACHE_SYMLINKS |
  INIT_FLAG.EXPLICIT_INVAL_DATA |
  INIT_FLAG.HANDLE_KILLPRIV_V2 |
  INIT_FLAG.INIT_EXT;

const WANTED2 = INIT_FLAG2.DIRECT_IO_ALLOW_MMAP;

/** @throws FUSE_KERNEL_TOO_OLD */
export function negotiate(offer: KernelOffer): Agreement {
  if (offer.major !== FUSE_MAJOR || offer.minor < FUSE_MINOR_LEAST) {
    const least = `${FUSE_MAJOR}.${FUSE_MINOR_LEAST}`;
    throw fuseErrors.FUSE_KERNEL_TOO_OLD([offer.major, offer.minor, least]);
  }
  const flags = offer.flags & WANTED;
  const flags2 = flags & INIT_FLAG.INIT_EXT ? offer.flags2 & WANTED2 : 0;
  return {
    minor: Math.min(offer.minor, FUSE_MINOR),
    flags,
    flags2,
    readaheadBytesMax: Math.min(offer.readaheadBytesMax, READAHEAD_BYTES_MAX),
    resends: flags & INIT_FLAG.INIT_EXT ? (offer.flags2 & INIT_FLAG2.HAS_RESEND) !== 0 : false,
    directMmap: (flags2 & INIT_FLAG2.DIRECT_IO_ALLOW_MMAP) !== 0,
  };
}

/** struct fuse_init_out. */
export function encodeAgreement(agreement: Agreement): Buffer {
  const body = Buffer.alloc(STRUCT_BYTES.INIT_OUT);
  body.writeUInt32LE(FUSE_MAJOR, 0);
  body.writeUInt32LE(agreement.minor, 4);
  body.writeUInt32LE(agreement.readaheadBytesMax, 8);
  body.writeUInt32LE(agreement.flags >>> 0, 12);
  body.writeUInt16LE(BACKGROUND_MAX, 16);
  body.writeUInt16LE(CONGESTION_THRESHOLD, 18);
  body.writeUInt32LE(IO_BYTES_MAX, 20);
  body.writeUInt32LE(1, 24); // time_gran: file times are exact to the nanosecond.
  body.writeUInt16LE(IO_PAGES_MAX, 28);
  body.writeUInt16LE(0, 30);
  body.writeUInt32LE(agreement.flags2 >>> 0, 32);
  return body;
}
