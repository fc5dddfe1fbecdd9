/**
 * A layer of an archive: what happened to the pages of one protection group in (after, through].
 *
 * A log layer has every record of the group, so it gives a page at any LSN of its span. A page layer has each page as it was at
 * the end, so it gives nothing in between; it lies in parts, each of a run of pages. What a layer is stands in its name: the
 * listing of the store is the catalogue, and there is no other that could disagree with it. Only what is durable for ever is
 * archived, so two writers of one archive write the same history, and a layer that is there twice does no harm.
 *
 *   volumes/<volume>/log/<group>/<after>-<through>
 *   volumes/<volume>/pages/<group>/<after>-<through>/<first page>-<end page>-<readable from>-<told before>
 *
 * LSNs are sixteen digits, pages (counted from the group's first) ten, the group five. A page layer may have been copied while the
 * volume went on, page by page: then a page may show what came up to `readableFrom`, and the layer serves points from there on,
 * with the log from `through` on applied once more. Records overwrite bytes, so doing that twice does no harm.
 */
import { asLsn, asPgIndex, must, type Lsn, type PgIndex } from '@rokka/kernel';
import type { StoredObject } from './object-store.ts';

export type LayerKind = 'log' | 'pages';

export interface Layer {
  readonly kind: LayerKind;
  readonly pg: PgIndex;
  /** What it builds on reaches up to here; 0 for nothing. */
  readonly after: Lsn;
  readonly through: Lsn;
  /** Points below this it does not serve; `through` where it was made at one point. */
  readonly readableFrom: Lsn;
  /**
   * Up to here the archive had been told to be whole when this was begun: whatever the group has below is in layers of its own.
   * Between it and `readableFrom` history may be missing.
   */
  readonly toldBefore: Lsn;
}

/** An object of a layer, with pages [firstPage, endPage), counted from the first of the group. */
export interface LayerPart extends StoredObject {
  readonly firstPage: number;
  readonly endPage: number;
}

export interface StoredLayer extends Layer {
  readonly parts: readonly LayerPart[];
}

/** One object that is to be written. */
export interface PartName extends Layer {
  readonly firstPage: number;
  readonly endPage: number;
}

export function archivePrefix(volume: string): string {
  return `volumes/${volume}/`;
}

export function layerKey(volume: string, part: PartName): string {
  const { kind, pg, after, through, firstPage, endPage, readableFrom, toldBefore } = part;
  const layer = `${archivePrefix(volume)}${kind}/${digits(pg, 5)}/${digits(after, 16)}-${digits(through, 16)}`;
  return kind === 'log'
    ? layer
    : `${layer}/${digits(firstPage, 10)}-${digits(endPage, 10)}-${digits(readableFrom, 16)}-${digits(toldBefore, 16)}`;
}

/** The whole layers among the objects: one that lacks a part is none yet. */
export function layersOf(objects: readonly StoredObject[], pagesPerGroup: number): StoredLayer[] {
  const parts = objects.flatMap((object) => partOf(object, pagesPerGroup) ?? []);
  const byLayer = Map.groupBy(parts, ({ kind, pg, after, through }) => `${kind} ${pg} ${after} ${through}`);
  return [...byLayer.values()].flatMap((some) => {
    const chosen = contiguous(some, pagesPerGroup);
    if (!chosen) return [];
    const [{ kind, pg, after, through }] = some;
    const readableFrom = asLsn(Math.max(...chosen.map((part) => part.readableFrom)));
    const toldBefore = asLsn(Math.min(...chosen.map((part) => part.toldBefore)));
    return [{ kind, pg, after, through, readableFrom, toldBefore, parts: chosen }];
  });
}

/**
 * The layers that give the group's pages as of `at`, the newest first: log down to the newest page layer that may serve it, that
 * layer, and what it builds on.
 *
 * `at` may be any LSN that the volume's archive has reached: a group that was not written lately has layers up to its own last
 * record only.
 * @param layers of one group, all of them
 * @returns undefined where history is missing between them
 */
export function coverOf<T extends Layer>(layers: readonly T[], at: Lsn): T[] | undefined {
  const pages = topPages(layers, at);
  const below = pages && pages.after > 0 ? coverOf(layers, pages.after) : [];
  if (!below) return undefined;
  const logs = layers.filter(({ kind }) => kind === 'log');
  const cover = [...chain(logs, pages?.through ?? asLsn(0), at), ...(pages ? [pages] : []), ...below];
  const reach = reachOf(cover);
  const isMissing = layers.some(
    ({ kind, after, through, toldBefore }) =>
      after < at && through > reach && (kind === 'log' || at > toldBefore),
  );
  return isMissing && reach < at ? undefined : cover;
}

/** How far the group's history reaches without a gap; what lies above is of no use yet. */
export function reachOf(layers: readonly Layer[]): Lsn {
  const sorted = [...layers].sort((a, b) => a.after - b.after);
  return sorted.reduce((at, { after, through }) => (after <= at && through > at ? through : at), asLsn(0));
}

/** Of the log layers that go on without a gap each the longest; answered newest first. */
function chain<T extends Layer>(logs: readonly T[], after: Lsn, through: Lsn): T[] {
  const sorted = [...logs].sort((a, b) => a.after - b.after || a.through - b.through);
  const links: T[] = [];
  let best: T | undefined;
  let at = after;
  for (const layer of sorted) {
    if (at >= through) break;
    if (layer.after > at) {
      // Nothing that begins later goes on where the best of those before ends.
      if (!best || best.through <= at) break;
      links.push(best);
      at = best.through;
      best = undefined;
      if (layer.after > at || at >= through) break;
    }
    if (layer.through > at && layer.through > (best?.through ?? at)) best = layer;
  }
  if (best && at < through && best.after <= at) links.push(best);
  return links.reverse();
}

/** Highest first, and of those that end alike the one that spans most. */
function topPages<T extends Layer>(layers: readonly T[], at: Lsn): T | undefined {
  const able = layers.filter(({ kind, readableFrom }) => kind === 'pages' && readableFrom <= at);
  return able.sort((a, b) => b.through - a.through || a.after - b.after)[0];
}

const LOG_KEY = /^volumes\/[^/]+\/log\/(\d{5})\/(\d{16})-(\d{16})$/;
const PAGES_KEY = /^volumes\/[^/]+\/pages\/(\d{5})\/(\d{16})-(\d{16})\/(\d{10})-(\d{10})-(\d{16})-(\d{16})$/;

/** Undefined for what is no part of a layer. */
function partOf({ key, sizeBytes }: StoredObject, pagesPerGroup: number): (LayerPart & Layer) | undefined {
  const match = LOG_KEY.exec(key) ?? PAGES_KEY.exec(key);
  if (!match) return undefined;
  const [
    pg,
    after,
    through,
    firstPage = 0,
    endPage = pagesPerGroup,
    readableFrom = through,
    toldBefore = through,
  ] = match.slice(1).map(Number);
  return {
    kind: match.length === 4 ? 'log' : 'pages',
    pg: asPgIndex(must(pg)),
    after: asLsn(must(after)),
    through: asLsn(must(through)),
    readableFrom: asLsn(must(readableFrom)),
    toldBefore: asLsn(must(toldBefore)),
    firstPage,
    endPage,
    key,
    sizeBytes,
  };
}

/**
 * Parts that follow each other from the first page to the last; attempts that were cut off have left others beside them. Where there is
 * a choice, what is readable sooner.
 */
function contiguous<T extends PartName>(parts: readonly T[], pagesPerGroup: number): T[] | undefined {
  const byFirst = Map.groupBy(parts, ({ firstPage }) => firstPage);
  /** By the page that it begins with: a way to the end, looked for from the end on. */
  const ways = new Map<number, { part: T; next: number }>();
  for (const first of [...byFirst.keys()].sort((a, b) => b - a)) {
    const able = (byFirst.get(first) ?? []).filter(
      ({ endPage }) => endPage >= pagesPerGroup || ways.has(endPage),
    );
    able.sort((a, b) => a.readableFrom - b.readableFrom || b.endPage - a.endPage);
    if (able[0]) ways.set(first, { part: able[0], next: able[0].endPage });
  }
  const chosen: T[] = [];
  for (let page = 0; page < pagesPerGroup;) {
    const way = ways.get(page);
    if (!way) return undefined;
    chosen.push(way.part);
    page = way.next;
  }
  return chosen;
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
}
