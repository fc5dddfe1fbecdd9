/**
 * A layer of an archive: what happened to the pages of one protection group in (after, through].
 *
 * A log layer has every record of the group, so it gives a page at any LSN of its span. A page layer has each page that was
 * changed in its span once, as it was at the end, so it gives nothing in between. What a layer is stands in its name: the
 * listing of the store is the catalogue, and there is no other that could disagree with it. Only what is durable for ever is
 * archived, so two writers of one archive write the same history, and a layer that is there twice does no harm.
 *
 *   volumes/<volume>/log/<group>/<after>-<through>       numbers in sixteen digits, the group in five
 *   volumes/<volume>/pages/<group>/<after>-<through>
 */
import { asLsn, asPgIndex, type Lsn, type PgIndex } from '@rokka/kernel';
import { archiveErrors } from './errors.ts';
import type { StoredObject } from './object-store.ts';

export type LayerKind = 'log' | 'pages';

export interface Layer {
  readonly kind: LayerKind;
  readonly pg: PgIndex;
  /** What it builds on reaches up to here; 0 for nothing. */
  readonly after: Lsn;
  readonly through: Lsn;
}

export interface StoredLayer extends Layer {
  readonly key: string;
  readonly sizeBytes: number;
}

export function archivePrefix(volume: string): string {
  return `volumes/${volume}/`;
}

export function layerKey(volume: string, { kind, pg, after, through }: Layer): string {
  return `${archivePrefix(volume)}${kind}/${digits(pg, 5)}/${digits(after, 16)}-${digits(through, 16)}`;
}

/** Undefined for what is no layer. */
export function layerOf({ key, sizeBytes }: StoredObject): StoredLayer | undefined {
  const match = LAYER_KEY.exec(key);
  if (!match) return undefined;
  const [, kind, pg, after, through] = match;
  return {
    kind: kind as LayerKind,
    pg: asPgIndex(Number(pg)),
    after: asLsn(Number(after)),
    through: asLsn(Number(through)),
    key,
    sizeBytes,
  };
}

/**
 * The layers that give the group's pages as of `at`, the newest first: log down to the newest page layer that is not above it,
 * then page layers, then the log below those.
 *
 * `at` may be any LSN that the volume's archive has reached: a group that was not written lately has layers up to its own last
 * record only.
 * @param layers of one group, all of them
 */
export function coverOf<T extends Layer>(layers: readonly T[], at: Lsn): T[] {
  const cover: T[] = [];
  let reached = topPages(layers, at);
  for (let pages = reached; pages; pages = lowerPages(layers, pages)) {
    cover.push(pages);
    reached = pages;
  }
  // Log below the lowest page layer as well, and above the highest.
  const logs = layers.filter(({ kind }) => kind === 'log');
  const top = cover[0]?.through ?? asLsn(0);
  return [...chain(logs, top, at), ...cover, ...chain(logs, asLsn(0), reached?.after ?? asLsn(0))];
}

/**
 * How far the group's log reaches without a gap; what lies above is of no use yet.
 * @param from where the first layer must begin, at the latest
 */
export function reachOf(layers: readonly Layer[], from = asLsn(0)): Lsn {
  const sorted = [...layers].sort((a, b) => a.after - b.after);
  return sorted.reduce((at, { after, through }) => (after <= at && through > at ? through : at), from);
}

/** Oldest log layers first taken, each the longest that goes on without a gap; answered newest first. */
function chain<T extends Layer>(logs: readonly T[], after: Lsn, through: Lsn): T[] {
  const links: T[] = [];
  for (let at = after; at < through;) {
    const next = logs
      .filter((layer) => layer.after <= at && layer.through > at)
      .reduce<T | undefined>(
        (best, layer) => (best && best.through >= layer.through ? best : layer),
        undefined,
      );
    if (!next) break;
    links.push(next);
    at = next.through;
  }
  return links.reverse();
}

/** Highest first, and of those that end alike the one that spans most. */
function topPages<T extends Layer>(layers: readonly T[], at: Lsn): T | undefined {
  const below = layers.filter(({ kind, through }) => kind === 'pages' && through <= at);
  return below.sort((a, b) => b.through - a.through || a.after - b.after)[0];
}

function lowerPages<T extends Layer>(layers: readonly T[], { after }: Layer): T | undefined {
  const next = layers.filter(({ kind, through }) => kind === 'pages' && through === after);
  return after === 0 ? undefined : next.sort((a, b) => a.after - b.after)[0];
}

const LAYER_KEY = /^volumes\/[^/]+\/(log|pages)\/(\d{5})\/(\d{16})-(\d{16})$/;

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
}

/** @throws ARCHIVE_GAP where the layers do not follow each other from 0 up to `through` */
export function demandReach(
  layers: readonly Layer[],
  of: { volume: string; pg: PgIndex; through: Lsn },
): void {
  const reach = reachOf(layers);
  if (reach < of.through) throw archiveErrors.ARCHIVE_GAP([of.volume, of.pg, reach]);
}
