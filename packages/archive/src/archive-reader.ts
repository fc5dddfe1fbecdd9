/**
 * Pages of a volume as of one LSN, out of its archive. The layers that cover the LSN are looked up once; of each its index is
 * read when the first page of its group is, and kept.
 *
 * What the volume's own history never wrote comes from what it was a clone of, and so on down.
 */
import { isCoded, must, PAGE_SIZE, type Lsn, type PageNumber, type PgIndex } from '@rokka/kernel';
import { applyRecord, recordIsSound, recordLengthAt } from '@rokka/quorum';
import { readDescriptor, type ArchiveDescriptor, type ArchivePoint } from './descriptor.ts';
import { archiveErrors } from './errors.ts';
import { contentOf, type ItemPlace, LayerIndex } from './layer-object.ts';
import {
  archivePrefix,
  coverOf,
  type LayerKind,
  type LayerPart,
  layersOf,
  type StoredLayer,
} from './layer.ts';
import type { ObjectStore } from './object-store.ts';
import { ReadTurns } from './read-turns.ts';
import { spanOf } from './timeline.ts';

/** What lies between two items of a page is read with them where it is no more than this. */
const SPAN_BYTES_MAX = 64 * 1024;
/** Items that lie side by side are read together up to this. */
const READ_BYTES_MAX = 1024 * 1024;
/** Of the indexes that are kept: some ten million pages of page layers. */
const INDEX_BYTES_MAX = 64 * 1024 * 1024;
/** Indexes that are on their way at once for one page: each may be a request to a store far away. */
const INDEXES_AHEAD = 8;
const READS_AHEAD = 8;
/** Of a page that is read together with others; one with more changes is read by itself, a part at a time. */
const TOGETHER_BYTES_MAX = 64 * 1024;
/** Of all that is read for pages together, and held until the last of it is there. */
const TOGETHER_ALL_BYTES_MAX = 32 * 1024 * 1024;
/** Reads of the store on their way at once, whoever waits for them: a scan of a clone asks for hundreds of pages. */
const READS_MAX = 64;

/** Items of a page, with the object that they lie in. */
interface Found extends ItemPlace {
  readonly kind: LayerKind;
  readonly part: LayerPart;
}

export class ArchiveReader {
  readonly descriptor: ArchiveDescriptor;
  readonly lsn: Lsn;
  readonly #store: ObjectStore;
  /** One for all of the readers down to the last base. */
  readonly #reads: ReadTurns;
  #covers: Covers;
  /** Used longest ago first. A page may have to be looked up in hundreds of them: those that are here are not waited for. */
  readonly #indexes = new Map<string, LayerIndex | Promise<LayerIndex>>();
  #indexBytes = 0;
  readonly #base: ArchiveReader | undefined;

  private constructor(
    store: ObjectStore,
    of: {
      descriptor: ArchiveDescriptor;
      lsn: Lsn;
      covers: Covers;
      base: ArchiveReader | undefined;
      reads: ReadTurns;
    },
  ) {
    this.#store = store;
    this.descriptor = of.descriptor;
    this.lsn = of.lsn;
    this.#covers = of.covers;
    this.#base = of.base;
    this.#reads = of.reads;
  }

  /** @throws ARCHIVE_EMPTY, ARCHIVE_NOT_YET, ARCHIVE_GAP, ARCHIVE_DAMAGED, ARCHIVE_VERSION, ARCHIVE_STORE_FAILED */
  static async open(
    store: ObjectStore,
    { volume, lsn }: ArchivePoint,
    options: { only?: PgIndex; reads?: ReadTurns } = {},
  ): Promise<ArchiveReader> {
    const { reads = new ReadTurns(store, READS_MAX), ...only } = options;
    const descriptor = await readDescriptor(store, volume);
    if (!descriptor) throw archiveErrors.ARCHIVE_EMPTY([volume]);
    const reached = (await spanOf(store, volume))?.last.lsn ?? 0;
    if (lsn > reached) throw archiveErrors.ARCHIVE_NOT_YET([volume, lsn, reached]);
    const covers = await coversOf(store, { descriptor, lsn, ...only });
    const base = descriptor.base && (await ArchiveReader.open(store, descriptor.base, { reads }));
    return new ArchiveReader(store, { descriptor, lsn, covers, base, reads });
  }

  /**
   * The page's PAGE_SIZE bytes; undefined for one that was never written.
   * @throws ARCHIVE_DAMAGED, ARCHIVE_NO_OBJECT, ARCHIVE_STORE_FAILED
   */
  async page(page: PageNumber): Promise<Uint8Array | undefined> {
    try {
      return await this.#page(page);
    } catch (error) {
      if (!isCoded(error, 'ARCHIVE_NO_OBJECT')) throw error;
      // Layers that give the same have taken the place of some that we know.
      this.#covers = await coversOf(this.#store, { descriptor: this.descriptor, lsn: this.lsn });
      return this.#page(page);
    }
  }

  /**
   * Many pages, each as `page` gives it and each for itself: one that is damaged takes no other along. What lies side by side is read
   * together.
   */
  readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[] {
    const together = this.#together(pages);
    return pages.map(async (page) => {
      const contents = await together;
      return contents.has(page) ? contents.get(page) : this.page(page);
    });
  }

  /** Without those that have to be read one by one: they have changed a lot, or something is wrong with one of them. */
  async #together(pages: readonly PageNumber[]): Promise<Map<PageNumber, Uint8Array | undefined>> {
    try {
      const found = new Map<PageNumber, Found[]>();
      await Promise.all(
        pages.map(async (page) => {
          const places = await this.#find(page);
          const bytes = places.reduce((sum, { length }) => sum + length, 0);
          if (bytes <= TOGETHER_BYTES_MAX) found.set(page, places);
        }),
      );
      const runs = [...runsOf([...found.values()].flat().sort(byPlace))];
      // Then a part of each at a time, as for one page.
      if (runs.reduce((sum, run) => sum + spanBytes(run), 0) > TOGETHER_ALL_BYTES_MAX) return new Map();
      const unfinished = [...found.keys()].filter((page) => !isWhole(found.get(page) ?? []));
      const [below, ...read] = await Promise.all([
        this.#inheritedOf(unfinished),
        ...runs.map((run) => this.#read(run)),
      ]);
      const bytesAt = new Map(runs.flatMap((run, at) => placesIn(run, read[at])));
      const contents = new Map<PageNumber, Uint8Array | undefined>();
      for (const [page, places] of found) {
        const content = below.get(page) ?? (places.length > 0 ? new Uint8Array(PAGE_SIZE) : undefined);
        for (const place of places.toReversed()) apply(place, must(bytesAt.get(place)), must(content));
        contents.set(page, content);
      }
      return contents;
    } catch (error) {
      if (!isCoded(error)) throw error;
      return new Map();
    }
  }

  async #page(page: PageNumber): Promise<Uint8Array | undefined> {
    const found = await this.#find(page);
    const below = isWhole(found) ? undefined : await this.#inherited(page);
    if (found.length === 0) return below;
    const content = below ?? new Uint8Array(PAGE_SIZE);
    await this.#applyAll([...runsOf(found.reverse())], content);
    return content;
  }

  /** Where the page's items lie, the newest first, down to one that needs nothing older. */
  async #find(page: PageNumber): Promise<Found[]> {
    const { pagesPerGroup } = this.descriptor;
    const found: Found[] = [];
    const inGroup = page % pagesPerGroup;
    const layers = this.#covers.get(Math.floor(page / pagesPerGroup) as PgIndex) ?? [];
    for (const [at, layer] of layers.entries()) {
      const { kind } = layer;
      const part = partWith(layer, inGroup);
      if (!this.#indexes.has(part.key))
        // Whoever comes to one of the next hears of its error.
        for (const next of layers.slice(at + 1, at + INDEXES_AHEAD))
          if (next.kind === 'log') void this.#index(next, partWith(next, inGroup)).catch(() => {});
      const index = this.#knownIndex(part) ?? (await this.#index(layer, part));
      found.push(...index.itemsOf(page, this.lsn).map((place) => ({ ...place, kind, part })));
      if (isWhole(found)) break;
    }
    return found;
  }

  /** In their order; some are read ahead, because a page that changes all the time has something in every layer. */
  async #applyAll(runs: readonly (readonly Found[])[], content: Uint8Array): Promise<void> {
    const reads: Promise<Uint8Array>[] = [];
    try {
      for (const [at, run] of runs.entries()) {
        while (reads.length < Math.min(runs.length, at + READS_AHEAD)) {
          const read = this.#read(runs[reads.length]);
          // Whoever comes to it hears of its error; until then nobody waits for it.
          read.catch(() => {});
          reads.push(read);
        }
        for (const [place, bytes] of placesIn(run, await reads[at])) apply(place, bytes, content);
      }
    } finally {
      // Nothing is on its way any more for whoever gives up.
      await Promise.allSettled(reads);
    }
  }

  /** Pages [0, pageCount) have all that was ever written. */
  get pageCount(): number {
    const { pagesPerGroup, base } = this.descriptor;
    const groups = Math.max(0, ...[...this.#covers.keys()].map((pg) => pg + 1));
    return Math.max(groups * pagesPerGroup, base?.pages ?? 0);
  }

  /** Pages of a group that its own layers have something of, in order. */
  async *ownPages(pg: PgIndex): AsyncIterable<PageNumber> {
    const { pagesPerGroup } = this.descriptor;
    const pages = new PageSet(pg * pagesPerGroup, pagesPerGroup);
    await this.#noteOwn(pg, pages);
    yield* pages.inOrder();
  }

  /** Every page that was ever written, its own and what it inherits, in order. */
  async *pages(): AsyncIterable<PageNumber> {
    const { pagesPerGroup } = this.descriptor;
    for (let first = 0; first < this.pageCount; first += pagesPerGroup) {
      const pages = new PageSet(first, Math.min(pagesPerGroup, this.pageCount - first));
      await this.#note(pages);
      yield* pages.inOrder();
    }
  }

  async #note(pages: PageSet): Promise<void> {
    const { pagesPerGroup, base } = this.descriptor;
    const groups = [...this.#covers.keys()].filter(
      (pg) => (pg + 1) * pagesPerGroup > pages.first && pg * pagesPerGroup < pages.end,
    );
    for (const pg of groups) await this.#noteOwn(pg, pages);
    if (!base || pages.first >= base.pages) return;
    const inherited = new PageSet(pages.first, Math.min(pages.end, base.pages) - pages.first);
    await must(this.#base).#note(inherited);
    for (const page of inherited.inOrder()) pages.add(page);
  }

  async #noteOwn(pg: PgIndex, pages: PageSet): Promise<void> {
    for (const layer of this.#covers.get(pg) ?? [])
      for (const part of layer.parts)
        for (const page of (await this.#index(layer, part)).pages()) pages.add(page);
  }

  async #inherited(page: PageNumber): Promise<Uint8Array | undefined> {
    const { base } = this.descriptor;
    return base && page < base.pages ? must(this.#base).page(page) : undefined;
  }

  async #inheritedOf(pages: readonly PageNumber[]): Promise<Map<PageNumber, Uint8Array | undefined>> {
    const { base } = this.descriptor;
    const some = base ? pages.filter((page) => page < base.pages) : [];
    if (some.length === 0) return new Map();
    const contents = await Promise.all(must(this.#base).readMany(some));
    return new Map(some.map((page, at) => [page, contents[at]]));
  }

  #knownIndex({ key }: LayerPart): LayerIndex | undefined {
    const known = this.#indexes.get(key);
    if (!(known instanceof LayerIndex)) return undefined;
    if (this.#indexBytes > INDEX_BYTES_MAX / 2) {
      // One may have to go soon. What was used last goes last.
      this.#indexes.delete(key);
      this.#indexes.set(key, known);
    }
    return known;
  }

  async #index(layer: StoredLayer, part: LayerPart): Promise<LayerIndex> {
    const known = this.#indexes.get(part.key);
    if (known) return known;
    const loading = LayerIndex.load(this.#reads, layer, part);
    this.#indexes.set(part.key, loading);
    try {
      const index = await loading;
      this.#indexes.set(part.key, index);
      this.#indexBytes += index.memoryBytes;
      this.#letGo();
      return index;
    } catch (error) {
      // One that could not be read is asked for again; somebody may have done so already.
      if (this.#indexes.get(part.key) === loading) this.#indexes.delete(part.key);
      throw error;
    }
  }

  #letGo(): void {
    for (const [key, index] of this.#indexes) {
      if (this.#indexBytes <= INDEX_BYTES_MAX) return;
      // One that is not here yet counts when it is.
      if (!(index instanceof LayerIndex)) continue;
      this.#indexes.delete(key);
      this.#indexBytes -= index.memoryBytes;
    }
  }

  /** Of one object, near enough to each other for one read. */
  #read(run: readonly Found[]): Promise<Uint8Array> {
    const { part, offset } = must(run[0]);
    return this.#reads.read(part.key, offset, spanBytes(run));
  }
}

/** Nothing older is needed. @param found the newest first */
function isWhole(found: readonly Found[]): boolean {
  return found.at(-1)?.whole === true;
}

function spanBytes(run: readonly Found[]): number {
  const [first, last] = [must(run[0]), must(run.at(-1))];
  return last.offset + last.length - first.offset;
}

function placesIn(run: readonly Found[], bytes: Uint8Array): [Found, Uint8Array][] {
  const from = must(run[0]).offset;
  return run.map((place) => [place, bytes.subarray(place.offset - from, place.offset - from + place.length)]);
}

/** @param bytes all that lies at the place */
function apply({ kind, part }: Found, bytes: Uint8Array, content: Uint8Array): void {
  if (kind === 'pages') return content.set(contentOf(bytes, part.key));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const end = at + (recordLengthAt(view, at) ?? 0);
    const record = bytes.subarray(at, end);
    if (!recordIsSound(record))
      throw archiveErrors.ARCHIVE_DAMAGED([part.key, 'a record in it has another checksum']);
    applyRecord(record, content);
    at = end;
  }
}

function byPlace(a: Found, b: Found): number {
  if (a.part !== b.part) return a.part.key < b.part.key ? -1 : 1;
  return a.offset - b.offset;
}

/** The object of a layer that has a page, counted from the group's first. */
function partWith(layer: StoredLayer, inGroup: number): LayerPart {
  const part = layer.parts.find(({ endPage }) => inGroup < endPage);
  return must(part, 'a layer has a part for each page');
}

/** @param found of each object what lies first first */
function* runsOf(found: readonly Found[]): Iterable<readonly Found[]> {
  for (let first = 0; first < found.length;) {
    const { part, offset } = found[first];
    let end = first + 1;
    for (; end < found.length && found[end].part === part; end++) {
      const before = found[end - 1];
      const follows = found[end].offset === before.offset + before.length;
      const bytes = found[end].offset + found[end].length - offset;
      if (bytes > (follows ? READ_BYTES_MAX : SPAN_BYTES_MAX)) break;
    }
    yield found.slice(first, end);
    first = end;
  }
}

type Covers = ReadonlyMap<PgIndex, readonly StoredLayer[]>;

/** By group, the layers that give the point. @throws ARCHIVE_GAP, ARCHIVE_STORE_FAILED */
async function coversOf(
  store: ObjectStore,
  of: { descriptor: ArchiveDescriptor; lsn: Lsn; only?: PgIndex },
): Promise<Covers> {
  const { descriptor, lsn, only } = of;
  const { volume, pagesPerGroup } = descriptor;
  const layers = layersOf(await store.list(archivePrefix(volume)), pagesPerGroup);
  const covers = new Map<PgIndex, readonly StoredLayer[]>();
  for (const [pg, ofGroup] of Map.groupBy(layers, (layer) => layer.pg)) {
    if (only !== undefined && pg !== only) continue;
    const cover = coverOf(ofGroup, lsn);
    if (!cover) throw archiveErrors.ARCHIVE_GAP([volume, pg, lsn]);
    covers.set(pg, cover);
  }
  return covers;
}

/** Some of the pages of a run: a bit each. */
class PageSet {
  readonly first: number;
  readonly end: number;
  readonly #bits: Uint8Array;

  constructor(first: number, count: number) {
    this.first = first;
    this.end = first + count;
    this.#bits = new Uint8Array(Math.ceil(count / 8));
  }

  /** Those of other runs are left out. */
  add(page: number): void {
    const at = page - this.first;
    if (page >= this.first && page < this.end) this.#bits[at >>> 3] |= 1 << (at & 7);
  }

  *inOrder(): Iterable<PageNumber> {
    for (let at = 0; at < this.end - this.first; at++)
      if (this.#bits[at >>> 3] & (1 << (at & 7))) yield (this.first + at) as PageNumber;
  }
}
