/** Writes the parts of a page layer as its pages come, in order: no more than one part is in memory. */
import type { Lsn, PageNumber, PgIndex } from '@rokka/kernel';
import { type LayerItem, pageItem, writePart } from './layer-object.ts';
import type { ObjectStore } from './object-store.ts';

const PART_BYTES = 32 * 1024 * 1024;

export interface PagePartsOf {
  volume: string;
  pg: PgIndex;
  /** The pages contain everything up to here. */
  through: Lsn;
  /** Up to here history is whole without them. */
  toldBefore: Lsn;
  pagesPerGroup: number;
}

export class PageParts {
  readonly #store: ObjectStore;
  readonly #of: PagePartsOf;
  #items: LayerItem[] = [];
  #bytes = 0;
  #firstPage = 0;
  #readableFrom: Lsn;

  constructor(store: ObjectStore, of: PagePartsOf) {
    this.#store = store;
    this.#of = of;
    this.#readableFrom = of.through;
  }

  /**
   * The next pages of the group, in order, counted from its first.
   * @param of.next where those begin that come after them
   * @param of.readableFrom they may show what came up to here
   */
  async add(
    pages: readonly { page: number; content: Uint8Array }[],
    of: { next: number; readableFrom: Lsn },
  ): Promise<void> {
    const { pg, pagesPerGroup, through } = this.#of;
    for (const { page, content } of pages)
      this.#items.push(pageItem((pg * pagesPerGroup + page) as PageNumber, through, content));
    this.#bytes += pages.reduce((sum, { content }) => sum + content.length, 0);
    this.#readableFrom = Math.max(this.#readableFrom, of.readableFrom) as Lsn;
    if (this.#bytes >= PART_BYTES || of.next >= pagesPerGroup)
      await this.#write(Math.min(of.next, pagesPerGroup));
  }

  async #write(endPage: number): Promise<void> {
    const { volume, pg, through, toldBefore, pagesPerGroup } = this.#of;
    const part = {
      kind: 'pages',
      pg,
      after: 0 as Lsn,
      through,
      readableFrom: this.#readableFrom,
      toldBefore,
      firstPage: this.#firstPage,
      endPage,
    } as const;
    await writePart(this.#store, volume, {
      part,
      groupPage: (pg * pagesPerGroup) as PageNumber,
      items: this.#items,
    });
    this.#items = [];
    this.#bytes = 0;
    this.#firstPage = endPage;
  }
}
