/**
 * Page 0, which says that a filesystem is there and where its metadata lies, and the header in the first slot of every
 * metadata page, which says that the page is that one and belongs to this filesystem.
 */
import { crc32, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { filesystemErrors } from './errors.ts';
import {
  CHUNK_BYTES,
  CHUNKS_MAX,
  FORMAT_VERSION,
  pageAfter,
  SLOT_BYTES,
  SUPERBLOCK_HEADER_BYTES,
  SUPERBLOCK_PAGE,
  type PageRun,
} from './layout.ts';

const MAGIC = 'ROKKA-FS';
const CHUNK_MAGIC = 'ROKKA-MD';
const CHUNK_HEADER_BYTES = 32;

export interface Superblock {
  /** 32 hexadecimal digits, made with the filesystem. */
  readonly id: string;
  /** Every inode number ever given is below. */
  readonly inoLimit: number;
  readonly createdSeconds: number;
  /** The metadata: runs of pages, in the order in which they were added. */
  readonly chunks: readonly PageRun[];
}

/** The whole of page 0. */
export function encodeSuperblock(superblock: Superblock): Uint8Array {
  const bytes = Buffer.alloc(PAGE_SIZE);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.write(superblock.id, 16, 'hex');
  bytes.writeUIntLE(superblock.inoLimit, 32, 6);
  bytes.writeUIntLE(superblock.createdSeconds, 40, 6);
  bytes.writeUInt32LE(superblock.chunks.length, 48);
  bytes.writeUInt32LE(SLOT_BYTES, 52);
  bytes.writeUInt32LE(PAGE_SIZE, 56);
  for (const [i, { page, count }] of superblock.chunks.entries()) {
    bytes.writeUIntLE(page, SUPERBLOCK_HEADER_BYTES + i * CHUNK_BYTES, 6);
    bytes.writeUInt32LE(count, SUPERBLOCK_HEADER_BYTES + i * CHUNK_BYTES + 8);
  }
  bytes.writeUInt32LE(checksum(bytes), 12);
  return bytes;
}

/** @throws FILESYSTEM_NONE, FILESYSTEM_VERSION, FILESYSTEM_CORRUPT */
export function decodeSuperblock(page: Uint8Array): Superblock {
  const bytes = Buffer.from(page.buffer, page.byteOffset, page.byteLength);
  const corrupt = (why: string) => filesystemErrors.FILESYSTEM_CORRUPT([SUPERBLOCK_PAGE, 0, why]);
  if (isBlank(bytes)) throw filesystemErrors.FILESYSTEM_NONE([]);
  if (bytes.toString('latin1', 0, 8) !== MAGIC) throw corrupt('this is no superblock');
  const version = bytes.readUInt32LE(8);
  if (version !== FORMAT_VERSION) throw filesystemErrors.FILESYSTEM_VERSION([version, FORMAT_VERSION]);
  if (bytes.readUInt32LE(12) !== checksum(bytes)) throw corrupt('the checksum does not fit');
  const chunkCount = bytes.readUInt32LE(48);
  if (
    bytes.readUInt32LE(52) !== SLOT_BYTES ||
    bytes.readUInt32LE(56) !== PAGE_SIZE ||
    chunkCount > CHUNKS_MAX
  )
    throw corrupt('the measures do not fit the version');
  const chunks = Array.from({ length: chunkCount }, (_, i) => ({
    page: bytes.readUIntLE(SUPERBLOCK_HEADER_BYTES + i * CHUNK_BYTES, 6) as PageNumber,
    count: bytes.readUInt32LE(SUPERBLOCK_HEADER_BYTES + i * CHUNK_BYTES + 8),
  }));
  return {
    id: bytes.toString('hex', 16, 32),
    inoLimit: bytes.readUIntLE(32, 6),
    createdSeconds: bytes.readUIntLE(40, 6),
    chunks,
  };
}

export function isBlank(page: Uint8Array): boolean {
  return page.every((byte) => byte === 0);
}

/** Every page of the metadata, in order. */
export function metadataPages(chunks: readonly PageRun[]): PageNumber[] {
  return chunks.flatMap(({ page, count }) => Array.from({ length: count }, (_, i) => pageAfter(page, i)));
}

/** What stands at the start of metadata page `page` of filesystem `id`. */
export function encodePageHeader(id: string, page: PageNumber): Uint8Array {
  const bytes = Buffer.alloc(CHUNK_HEADER_BYTES);
  bytes.write(CHUNK_MAGIC, 0, 'latin1');
  bytes.writeUIntLE(page, 8, 6);
  bytes.write(id, 16, 'hex');
  return bytes;
}

/** Whether `content` is metadata page `page` of filesystem `id`, not another's and not one that was put elsewhere. */
export function hasPageHeader(content: Uint8Array, id: string, page: PageNumber): boolean {
  return Buffer.compare(content.subarray(0, CHUNK_HEADER_BYTES), encodePageHeader(id, page)) === 0;
}

function checksum(bytes: Uint8Array): number {
  return crc32(bytes.subarray(16), crc32(bytes.subarray(0, 12)));
}
