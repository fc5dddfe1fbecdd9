/**
 * Which slot of the page file holds which page: 32 bytes a slot, in a file beside the pages.
 *
 * Entry, little-endian; it never straddles a sector, so it is written whole or not at all:
 *   0  u32 page          of the segment, counted from its first
 *   4  u32 kind          1 a page, 2 a page that is known to be lost
 *   8  u64 lsn           of the last record in the page
 *  16  u64 generation    that wrote it
 *  24  u32 data checksum CRC-32 of the slot's 8192 bytes; 0 for kind 2
 *  28  u32 checksum      CRC-32 of bytes [0, 28)
 */
import { crc32, type DiskFile, type Lsn } from '@rokka/kernel';
import type { Generation } from './control-state.ts';
import { getU64, putU64 } from './log-format.ts';

export const SLOT_ENTRY_BYTES = 32;
export const KIND_PAGE = 1;
export const KIND_LOST = 2;

export interface SlotEntry {
  page: number;
  kind: number;
  lsn: Lsn;
  generation: number;
  dataChecksum: number;
}

const READ_ENTRIES = 32_768;

export function writeSlotEntry(view: DataView, at: number, entry: SlotEntry): number {
  view.setUint32(at, entry.page, true);
  view.setUint32(at + 4, entry.kind, true);
  putU64(view, at + 8, entry.lsn);
  putU64(view, at + 16, entry.generation);
  view.setUint32(at + 24, entry.dataChecksum, true);
  const checksum = crc32(new Uint8Array(view.buffer, view.byteOffset + at, 28));
  view.setUint32(at + 28, checksum, true);
  return checksum;
}

/** The entry at `at`, or undefined where its checksum does not hold. */
export function readSlotEntry(view: DataView, at: number): SlotEntry | undefined {
  const checksum = crc32(new Uint8Array(view.buffer, view.byteOffset + at, 28));
  if (checksum !== view.getUint32(at + 28, true)) return undefined;
  return {
    page: view.getUint32(at, true),
    kind: view.getUint32(at + 4, true),
    lsn: getU64(view, at + 8) as Lsn,
    generation: getU64(view, at + 16),
    dataChecksum: view.getUint32(at + 24, true),
  };
}

/** The live entries in memory: eight bytes a slot. */
export class SlotMap {
  /** Slot of each page, one more than its number; 0 where the page has none. */
  #slotOfPage = new Uint32Array(64);
  /** Checksum of the entry in each slot. */
  #checksumOfSlot = new Uint32Array(64);
  readonly free: number[] = [];
  slotCount = 0;
  livePages = 0;
  digest = 0;

  slot(page: number): number | undefined {
    const slot = this.#slotOfPage[page] ?? 0;
    return slot === 0 ? undefined : slot - 1;
  }

  /** The first page from `page` on that has a slot; `end` where there is none below. */
  nextLive(page: number, end: number): number {
    const known = Math.min(end, this.#slotOfPage.length);
    for (let at = page; at < known; at++) if (this.#slotOfPage[at] !== 0) return at;
    return Math.max(page, end);
  }

  /** Checksum of the page's entry, where it has one. */
  checksum(page: number): number | undefined {
    const slot = this.slot(page);
    return slot === undefined ? undefined : this.#checksumOfSlot[slot];
  }

  /** A slot that no completed generation uses. */
  take(): number {
    return this.free.pop() ?? this.slotCount++;
  }

  /** The page lives in `slot` from now on; the slot it had is free. */
  set(page: number, slot: number, checksum: number): void {
    const old = this.slot(page);
    if (page >= this.#slotOfPage.length) this.#slotOfPage = grown(this.#slotOfPage, page + 1);
    if (slot >= this.#checksumOfSlot.length) this.#checksumOfSlot = grown(this.#checksumOfSlot, slot + 1);
    if (old === undefined) {
      this.livePages++;
    } else {
      this.digest = (this.digest ^ this.#checksumOfSlot[old]) >>> 0;
      this.free.push(old);
    }
    this.#slotOfPage[page] = slot + 1;
    this.#checksumOfSlot[slot] = checksum;
    this.digest = (this.digest ^ checksum) >>> 0;
  }
}

/**
 * Reads the table back. Entries of a generation that was never completed are wiped, durably, so that a later generation of
 * the same number cannot bring them to life.
 *
 * @returns the map, or undefined where it is not the table that `generation` left
 */
export function loadSlotMap(
  table: DiskFile,
  options: { pageCount: number; generation: Generation },
): SlotMap | undefined {
  const { pageCount, generation } = options;
  const map = new SlotMap();
  map.slotCount = Math.floor(table.sizeBytes() / SLOT_ENTRY_BYTES);
  const newest = new Map<number, number>();
  let wiped = false;
  visitTable(table, map.slotCount, (slot, entry, checksum) => {
    const known = entry && entry.page < pageCount && entry.generation <= generation.number;
    if (known && (newest.get(entry.page) ?? -1) < entry.generation) {
      newest.set(entry.page, entry.generation);
      map.set(entry.page, slot, checksum);
      return;
    }
    if (entry && entry.generation > generation.number) {
      table.write([new Uint8Array(SLOT_ENTRY_BYTES)], slot * SLOT_ENTRY_BYTES);
      wiped = true;
    }
    map.free.push(slot);
  });
  if (wiped) table.sync();
  map.free.sort((a, b) => b - a);
  const same = map.livePages === generation.livePages && map.digest === generation.tableDigest;
  return same ? map : undefined;
}

function visitTable(
  table: DiskFile,
  slotCount: number,
  visit: (slot: number, entry: SlotEntry | undefined, checksum: number) => void,
): void {
  const bytes = new Uint8Array(Math.min(slotCount, READ_ENTRIES) * SLOT_ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  for (let first = 0; first < slotCount; first += READ_ENTRIES) {
    const count = Math.min(READ_ENTRIES, slotCount - first);
    table.read(bytes.subarray(0, count * SLOT_ENTRY_BYTES), first * SLOT_ENTRY_BYTES);
    for (let i = 0; i < count; i++) {
      const at = i * SLOT_ENTRY_BYTES;
      visit(first + i, readSlotEntry(view, at), view.getUint32(at + 28, true));
    }
  }
}

function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const next = new Uint32Array(Math.max(length, array.length * 2));
  next.set(array);
  return next;
}
