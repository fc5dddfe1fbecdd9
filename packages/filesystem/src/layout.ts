/**
 * The measures of the format on the volume, and where a slot lies. docs/filesystem-format.md explains the whole;
 * format.test.ts pins the bytes. Changing anything here makes a new FORMAT_VERSION.
 */
import { PAGE_SIZE, type Brand, type PageNumber } from '@rokka/kernel';

/** Identity of a file, directory or symbolic link: counted up from 1 (the root) and never given twice. */
export type Ino = Brand<number, 'Ino'>;
/** A slot of the metadata: page * SLOTS_PER_PAGE + index in the page. */
export type SlotNumber = Brand<number, 'SlotNumber'>;

/** Pages [page, page + count). */
export interface PageRun {
  readonly page: PageNumber;
  readonly count: number;
}

export const FORMAT_VERSION = 1;
export const ROOT_INO = 1 as Ino;
export const SUPERBLOCK_PAGE = 0 as PageNumber;

export const SLOT_BYTES = 512;
/** Slot 0 of every metadata page is the page's header; the others hold records. */
export const SLOTS_PER_PAGE = PAGE_SIZE / SLOT_BYTES;

export const EXTENT_BYTES = 16;
export const INODE_HEADER_BYTES = 80;
export const OVERFLOW_HEADER_BYTES = 32;
export const ENTRY_HEADER_BYTES = 32;
export const INLINE_EXTENTS = (SLOT_BYTES - INODE_HEADER_BYTES) / EXTENT_BYTES;
export const OVERFLOW_EXTENTS = (SLOT_BYTES - OVERFLOW_HEADER_BYTES) / EXTENT_BYTES;
/** A longer target lies in a page, like the content of a file. */
export const INLINE_TARGET_BYTES = SLOT_BYTES - INODE_HEADER_BYTES;

export const NAME_BYTES_MAX = 255;
export const TARGET_BYTES_MAX = 4095;
export const FILE_BYTES_MAX = 2 ** 47;
/** A write is one mini-transaction, and the volume bounds those; FUSE sends at most 1 MiB. */
export const WRITE_BYTES_MAX = 3 * 2 ** 20;
export const LINKS_MAX = 2 ** 31 - 1;
/** The top bit of an extent's count says that the pages were never written. */
export const EXTENT_PAGES_MAX = 2 ** 31 - 1;

export const SUPERBLOCK_HEADER_BYTES = 64;
export const CHUNK_BYTES = 16;
export const CHUNKS_MAX = (PAGE_SIZE - SUPERBLOCK_HEADER_BYTES) / CHUNK_BYTES;
/** Superblock and first chunk together are the first eight pages. */
export const FIRST_CHUNK_PAGES = 7;
export const CHUNK_PAGES_MIN = 8;
export const CHUNK_PAGES_MAX = 1024;
/** Inode numbers are reserved in the superblock this many at a time, so that creating a file seldom changes it. */
export const INO_BATCH = 1024;

export const slotAt = (page: PageNumber, index: number): SlotNumber =>
  (page * SLOTS_PER_PAGE + index) as SlotNumber;
export const slotPage = (slot: SlotNumber): PageNumber => Math.floor(slot / SLOTS_PER_PAGE) as PageNumber;
export const slotIndex = (slot: SlotNumber): number => slot % SLOTS_PER_PAGE;
export const slotOffset = (slot: SlotNumber): number => slotIndex(slot) * SLOT_BYTES;

/** The page `count` pages further on. */
export const pageAfter = (page: PageNumber, count: number): PageNumber => (page + count) as PageNumber;
