/**
 * Reads all slots of a filesystem, once, in any order of pages. Resumable: `run` throws NotReady for pages that are not
 * in memory and goes on from there when it is called again, so metadata may be larger than the volume's cache.
 */
import type { PageNumber } from '@rokka/kernel';
import { NotReady, type PageStore } from '@rokka/volume';
import { filesystemErrors } from './errors.ts';
import { SLOT_BYTES, SLOTS_PER_PAGE, slotAt, SUPERBLOCK_PAGE, type SlotNumber } from './layout.ts';
import { decodeSlot, type Slot } from './slot.ts';
import { decodeSuperblock, hasPageHeader, metadataPages, type Superblock } from './superblock.ts';

/** Pages asked for at once. */
const BATCH_PAGES = 256;

export class MetadataScan {
  readonly #store: PageStore;
  readonly #found: (slot: SlotNumber, content: Slot) => void;
  #superblock: Superblock | undefined;
  #left: PageNumber[] = [];

  /** `found` is told of every slot, free and damaged ones included. */
  constructor(store: PageStore, found: (slot: SlotNumber, content: Slot) => void) {
    this.#store = store;
    this.#found = found;
  }

  /** @throws NotReady; FILESYSTEM_NONE, FILESYSTEM_VERSION, FILESYSTEM_CORRUPT where the superblock is no guide */
  run(): Superblock {
    if (!this.#superblock) {
      const superblock = decodeSuperblock(this.#store.page(SUPERBLOCK_PAGE));
      for (const { page, count } of superblock.chunks) {
        if (page > SUPERBLOCK_PAGE && page + count <= this.#store.pagesMax) continue;
        throw filesystemErrors.FILESYSTEM_CORRUPT([
          SUPERBLOCK_PAGE,
          0,
          `metadata at ${page}, ${count} pages`,
        ]);
      }
      this.#left = metadataPages(superblock.chunks).reverse();
      this.#superblock = superblock;
    }
    while (this.#left.length > 0) {
      const batch = this.#left.slice(-BATCH_PAGES);
      const absent = batch.filter((page) => !this.#store.has(page));
      for (const page of batch) if (this.#store.has(page)) this.#readPage(page, this.#superblock.id);
      this.#left.length -= batch.length;
      for (const page of absent) this.#left.push(page);
      if (absent.length > 0) throw new NotReady({ pages: absent });
    }
    return this.#superblock;
  }

  #readPage(page: PageNumber, id: string): void {
    const content = this.#store.page(page);
    if (!hasPageHeader(content, id, page)) {
      this.#found(slotAt(page, 0), {
        type: 'damaged',
        why: 'this is not the metadata page that belongs here',
      });
      return;
    }
    for (let i = SLOTS_PER_PAGE - 1; i > 0; i--) {
      this.#found(slotAt(page, i), decodeSlot(content.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES)));
    }
  }
}
