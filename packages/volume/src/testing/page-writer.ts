/** Drives a page cache on a volume in a test as a filesystem does: what is not ready is waited for, then done again. */
import { asPageNumber, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { encodeRecord } from '@rokka/quorum';
import { PageCache } from '../page-cache.ts';
import type { PageWrite, Ticket } from '../page-store.ts';
import { whenReady } from '../ready.ts';
import type { Volume } from '../volume.ts';

export class PageWriter {
  readonly volume: Volume;
  readonly cache: PageCache;

  constructor(volume: Volume, options: { frames?: number } = {}) {
    this.volume = volume;
    this.cache = new PageCache(volume, { sizeBytes: (options.frames ?? 64) * PAGE_SIZE });
  }

  write(page: number, text: string, offset = 0): Promise<Ticket> {
    return this.apply([pageWrite(page, text, offset)]);
  }

  async apply(writes: readonly PageWrite[]): Promise<Ticket> {
    return whenReady(this.cache, () => this.cache.apply(writes));
  }

  /** Applied and durable. */
  async commit(page: number, text: string, offset = 0): Promise<Ticket> {
    const ticket = await this.write(page, text, offset);
    await this.volume.whenDurable(ticket);
    return ticket;
  }

  async content(page: number): Promise<Uint8Array> {
    return whenReady(this.cache, () => this.cache.page(asPageNumber(page)).slice());
  }

  async text(page: number, length: number, offset = 0): Promise<string> {
    return Buffer.from((await this.content(page)).subarray(offset, offset + length)).toString();
  }
}

export function pageWrite(page: number, text: string, offset = 0): PageWrite {
  return { page: asPageNumber(page), offset, bytes: Buffer.from(text) };
}

/** One mini-transaction of a record for each page, without a cache. Each record carries `bytes` bytes. */
export function rawMtr(pages: readonly number[], options: { bytes?: number; fill?: number } = {}) {
  const { bytes = 64, fill = 1 } = options;
  const content = new Uint8Array(PAGE_SIZE).fill(fill);
  const buffer = new Uint8Array(pages.length * (bytes + 64));
  let at = 0;
  for (const page of pages) {
    const ranges = [{ offset: 0, length: bytes }];
    at += encodeRecord(buffer, at, { page: page as PageNumber, init: false, ranges, content });
  }
  return buffer.subarray(0, at);
}
