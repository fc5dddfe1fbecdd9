/**
 * A log layer, or a part of a page layer, as one object: a header, the items one after the other, an index by page, a trailer. Format 1, little-endian:
 *
 *   header    u32 magic RKAL or RKAP, u16 version, u16 zero, u32 group, u32 zero, u64 after, u64 through,
 *             u64 the group's first page
 *   items     log: sealed records (quorum/record.ts); pages: u32 CRC-32 of the content, u64 LSN of the page, the content.
 *             By page, then by LSN, so that what a page has in a layer is one read; older layers have log in the order of its LSNs.
 *             Log, of a page with many records: behind the last of them, with its LSN, their sum (log-items.ts), sealed records as well
 *   index     u32 page from the first, u32 length | 2^31 where the item needs nothing older, u64 offset, u64 LSN;
 *             by page, then by LSN
 *   trailer   u32 magic RKAT, u32 entries, u64 length of the items, u32 CRC-32 of header and index, u32 CRC-32 of this before it
 *
 * The offset of an item counts from the first item. Who reads begins at the end: trailer, then index and header.
 */
import { ByteReader, ByteWriter, crc32, type Lsn, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { archiveErrors } from './errors.ts';
import { layerKey, type Layer, type LayerPart, type PartName } from './layer.ts';
import type { ObjectStore } from './object-store.ts';

export const LAYER_VERSION = 1;
const HEADER_BYTES = 40;
const ENTRY_BYTES = 24;
const TRAILER_BYTES = 24;
/** Read from an object's end at once: trailer and most of an index, or all of it. */
const TAIL_BYTES = 128 * 1024;
/** Items that lie side by side are one place up to this. */
const PLACE_BYTES_MAX = 1024 * 1024;
export const PAGE_ITEM_HEAD_BYTES = 12;
const MAGIC = { log: 0x4c41_4b52, pages: 0x5041_4b52, trailer: 0x5441_4b52 } as const;
/** The item stands for itself: a page, or a record that begins with a page of zeroes. */
const WHOLE = 2 ** 31;
const TWO_32 = 2 ** 32;

export interface LayerItem {
  readonly page: PageNumber;
  readonly lsn: Lsn;
  /** Nothing older of the page is needed. */
  readonly whole: boolean;
  readonly parts: readonly Uint8Array[];
}

/** Where items of a page lie in their object, one after the other, the oldest first: a page may have ten thousand in a layer. */
export interface ItemPlace {
  /** The first of them needs nothing older. */
  readonly whole: boolean;
  /** From the start of the object. */
  readonly offset: number;
  readonly length: number;
}

/** A page as an item of a page layer. */
export function pageItem(page: PageNumber, lsn: Lsn, content: Uint8Array): LayerItem {
  const head = new ByteWriter(PAGE_ITEM_HEAD_BYTES).u32(crc32(content)).u64(lsn).finish();
  return { page, lsn, whole: true, parts: [head, content] };
}

/** @throws ARCHIVE_STORE_FAILED */
export async function writePart(
  store: ObjectStore,
  volume: string,
  of: { part: PartName; groupPage: PageNumber; items: readonly LayerItem[] },
): Promise<void> {
  const { part, groupPage, items } = of;
  const header = new ByteWriter(HEADER_BYTES).u32(MAGIC[part.kind]).u16(LAYER_VERSION).u16(0);
  header.u32(part.pg).u32(0).u64(part.after).u64(part.through).u64(groupPage);
  const sorted = items.toSorted((a, b) => a.page - b.page || a.lsn - b.lsn);
  let itemsBytes = 0;
  const index = new ByteWriter(Math.max(ENTRY_BYTES, sorted.length * ENTRY_BYTES));
  for (const { page, parts, whole, lsn } of sorted) {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    index
      .u32(page - groupPage)
      .u32(length + (whole ? WHOLE : 0))
      .u64(itemsBytes)
      .u64(lsn);
    itemsBytes += length;
  }
  const trailer = new ByteWriter(TRAILER_BYTES).u32(MAGIC.trailer).u32(sorted.length).u64(itemsBytes);
  trailer.u32(crc32(Buffer.concat([header.view(), index.view()])));
  trailer.u32(crc32(trailer.view()));
  const parts = sorted.flatMap((item) => item.parts);
  const body = part.kind === 'log' ? [Buffer.concat(parts, itemsBytes)] : parts;
  await store.put(layerKey(volume, part), [header.finish(), ...body, index.finish(), trailer.finish()]);
}

/** The index of one object in memory: 24 bytes an item. */
export class LayerIndex {
  readonly #groupPage: number;
  readonly #view: DataView;
  readonly #count: number;

  private constructor(groupPage: number, entries: Uint8Array) {
    this.#groupPage = groupPage;
    this.#view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    this.#count = entries.length / ENTRY_BYTES;
  }

  /** @throws ARCHIVE_NO_OBJECT, ARCHIVE_DAMAGED, ARCHIVE_VERSION, ARCHIVE_STORE_FAILED */
  static async load(store: Pick<ObjectStore, 'read'>, layer: Layer, part: LayerPart): Promise<LayerIndex> {
    const { key, sizeBytes } = part;
    const damaged = (why: string) => archiveErrors.ARCHIVE_DAMAGED([key, why]);
    if (sizeBytes < HEADER_BYTES + TRAILER_BYTES) throw damaged(`${sizeBytes} bytes are no layer`);
    const tailAt = Math.max(0, sizeBytes - TAIL_BYTES);
    const [head, tail] = await Promise.all([
      store.read(key, 0, HEADER_BYTES),
      store.read(key, tailAt, sizeBytes - tailAt),
    ]);
    const end = tail.subarray(-TRAILER_BYTES);
    const trailer = new ByteReader(end);
    const [magic, count, itemsBytes, sum] = [trailer.u32(), trailer.u32(), trailer.u64(), trailer.u32()];
    if (magic !== MAGIC.trailer || trailer.u32() !== crc32(end.subarray(0, TRAILER_BYTES - 4)))
      throw damaged('its end is no trailer');
    const indexAt = HEADER_BYTES + itemsBytes;
    if (indexAt + count * ENTRY_BYTES + TRAILER_BYTES !== sizeBytes)
      throw damaged('its lengths do not add up');
    // A copy where it is small: the tail would be kept with it.
    const entries =
      indexAt >= tailAt
        ? new Uint8Array(tail.subarray(indexAt - tailAt, -TRAILER_BYTES))
        : await store.read(key, indexAt, count * ENTRY_BYTES);
    const header = new ByteReader(head);
    const kind = header.u32();
    const version = header.u16();
    if (version !== LAYER_VERSION) throw archiveErrors.ARCHIVE_VERSION([key, version]);
    if (kind !== MAGIC[layer.kind]) throw damaged('it is no layer of its kind');
    if (crc32(Buffer.concat([head, entries])) !== sum) throw damaged('its index has another checksum');
    header.u16();
    const same = header.u32() === layer.pg && header.u32() === 0;
    if (!same || header.u64() !== layer.after || header.u64() !== layer.through)
      throw damaged('it is another layer than its name says');
    return new LayerIndex(header.u64(), entries);
  }

  get memoryBytes(): number {
    return this.#view.byteLength;
  }

  /** Where the page's items up to `through` lie, the newest first, down to one that needs nothing older. */
  itemsOf(page: PageNumber, through: Lsn): ItemPlace[] {
    const relative = page - this.#groupPage;
    const places: ItemPlace[] = [];
    let offset = -1;
    let end = -1;
    let whole = false;
    const close = () => end >= 0 && places.push({ whole, offset, length: end - offset });
    const last = this.#endOf(relative, through) - 1;
    const isSum = this.#isSum(last);
    for (let at = last; at >= 0 && this.#pageAt(at) === relative; at--) {
      const word = this.#view.getUint32(at * ENTRY_BYTES + 4, true);
      const from = HEADER_BYTES + this.#u64(at * ENTRY_BYTES + 8);
      const to = from + (word >= WHOLE ? word - WHOLE : word);
      if (to !== offset || end - from > PLACE_BYTES_MAX) {
        close();
        end = to;
      }
      offset = from;
      whole = word >= WHOLE;
      if (whole || isSum) break;
    }
    close();
    return places;
  }

  /** Every page that it has something of, each once, in order. */
  *pages(): Iterable<PageNumber> {
    for (let at = 0; at < this.#count; at++)
      if (at === 0 || this.#pageAt(at) !== this.#pageAt(at - 1))
        yield (this.#groupPage + this.#pageAt(at)) as PageNumber;
  }

  /** No two records have one LSN: the second item with it is what all of the page up to there come to. */
  #isSum(at: number): boolean {
    return at > 0 && this.#pageAt(at - 1) === this.#pageAt(at) && this.#lsnAt(at - 1) === this.#lsnAt(at);
  }

  /** The first entry that comes after (page, through). */
  #endOf(page: number, through: Lsn): number {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const after =
        this.#pageAt(middle) > page || (this.#pageAt(middle) === page && this.#lsnAt(middle) > through);
      if (after) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #pageAt(at: number): number {
    return this.#view.getUint32(at * ENTRY_BYTES, true);
  }

  #lsnAt(at: number): number {
    return this.#u64(at * ENTRY_BYTES + 16);
  }

  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * TWO_32;
  }
}

/** The content of a page item. @throws ARCHIVE_DAMAGED */
export function contentOf(item: Uint8Array, key: string): Uint8Array {
  const reader = new ByteReader(item);
  const sum = reader.u32();
  reader.u64();
  const content = reader.rest();
  if (content.length !== PAGE_SIZE || crc32(content) !== sum)
    throw archiveErrors.ARCHIVE_DAMAGED([key, 'a page in it has another checksum']);
  return content;
}
