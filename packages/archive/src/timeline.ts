/**
 * The points that an archive can be taken back to: at this wall time the volume was durable up to this LSN, and everything up to
 * there is in the archive. They lie in one object an hour and writer, so that no writer overwrites what another one has said.
 *
 *   volumes/<volume>/times/<hours since 1970, eight digits>-<volume epoch, ten digits>
 *
 * An object is rows of u64 milliseconds and u64 LSN, then a u32 CRC-32 of them.
 */
import {
  asLsn,
  ByteReader,
  ByteWriter,
  crc32,
  type Epoch,
  isCoded,
  type Lsn,
  type VolumeId,
} from '@rokka/kernel';
import { archiveErrors } from './errors.ts';
import { archivePrefix } from './layer.ts';
import type { ObjectStore, StoredObject } from './object-store.ts';

const HOUR_MS = 3_600_000;
const ROW_BYTES = 16;
const SUM_BYTES = 4;
/** A writer adds points once a second at most. */
const ATTEMPTS_MAX = 5;

export interface TimePoint {
  readonly atMs: number;
  readonly lsn: Lsn;
}

/** What one writer says of the time in which it writes. */
export class TimelineWriter {
  readonly #store: ObjectStore;
  readonly #volume: VolumeId;
  readonly #epoch: Epoch;
  #hour = -1;
  #lastMs = 0;
  #points: TimePoint[] = [];

  constructor(store: ObjectStore, of: { volume: VolumeId; epoch: Epoch }) {
    this.#store = store;
    this.#volume = of.volume;
    this.#epoch = of.epoch;
  }

  /**
   * Durable when it resolves. A clock that is set back stands still here until it has caught up: the order of a writer's points is
   * that of its LSNs.
   * @throws ARCHIVE_STORE_FAILED
   */
  async add(later: readonly TimePoint[]): Promise<void> {
    const points = later.map(({ atMs, lsn }) => ({
      atMs: (this.#lastMs = Math.max(this.#lastMs, atMs)),
      lsn,
    }));
    const hours = new Set(points.map(({ atMs }) => hourOf(atMs)));
    for (const hour of hours) {
      const known = hour === this.#hour ? this.#points : [];
      const all = [...known, ...points.filter(({ atMs }) => hourOf(atMs) === hour)];
      await this.#store.put(timesKey(this.#volume, hour, this.#epoch), [encode(all)]);
      this.#hour = hour;
      this.#points = all;
    }
  }
}

/** The last point at or before `atMs`. @throws ARCHIVE_DAMAGED, ARCHIVE_STORE_FAILED */
export async function pointAt(
  store: ObjectStore,
  volume: VolumeId,
  atMs: number,
): Promise<TimePoint | undefined> {
  const objects = (await store.list(timesPrefix(volume))).filter(({ key }) => hourIn(key) <= hourOf(atMs));
  for (const hour of [...new Set(objects.map(({ key }) => hourIn(key)))].sort((a, b) => b - a)) {
    const points = await read(
      store,
      objects.filter(({ key }) => hourIn(key) === hour),
    );
    const found = points.filter((point) => point.atMs <= atMs).at(-1);
    if (found) return found;
  }
  return undefined;
}

/** The first and the last point; undefined where there is none. @throws ARCHIVE_DAMAGED, ARCHIVE_STORE_FAILED */
export async function spanOf(
  store: ObjectStore,
  volume: VolumeId,
): Promise<{ first: TimePoint; last: TimePoint } | undefined> {
  const objects = await store.list(timesPrefix(volume));
  // Later writers wrote later, whatever their clocks said.
  objects.sort((a, b) => epochIn(a.key) - epochIn(b.key) || hourIn(a.key) - hourIn(b.key));
  const [oldest, newest] = [objects[0], objects.at(-1)];
  if (!oldest || !newest) return undefined;
  const [first] = await read(store, [oldest]);
  const last = (await read(store, [newest])).at(-1);
  return first && last && { first, last };
}

/** Sorted by LSN: a later writer's clock may be behind, what it wrote is later. */
async function read(store: ObjectStore, objects: readonly StoredObject[]): Promise<TimePoint[]> {
  const lists = await Promise.all(objects.map((object) => pointsOf(store, object)));
  return lists.flat().sort((a, b) => a.lsn - b.lsn || a.atMs - b.atMs);
}

/** Its writer may write it anew, with more points, between the listing and the read: then what is read is not whole. */
async function pointsOf(store: ObjectStore, listed: StoredObject): Promise<TimePoint[]> {
  const { key } = listed;
  let { sizeBytes } = listed;
  for (let attempt = 1; ; attempt++) {
    try {
      return decode(await store.read(key, 0, sizeBytes), key);
    } catch (error) {
      if (!isCoded(error, 'ARCHIVE_DAMAGED') || attempt === ATTEMPTS_MAX) throw error;
      const found = (await store.list(key)).find((object) => object.key === key);
      if (!found || found.sizeBytes === sizeBytes) throw error;
      sizeBytes = found.sizeBytes;
    }
  }
}

function encode(points: readonly TimePoint[]): Uint8Array {
  const w = new ByteWriter(points.length * ROW_BYTES + SUM_BYTES);
  for (const { atMs, lsn } of points) w.u64(atMs).u64(lsn);
  return w.u32(crc32(w.view())).finish();
}

function decode(bytes: Uint8Array, key: string): TimePoint[] {
  const rows = bytes.length - SUM_BYTES;
  const r = new ByteReader(bytes);
  const isWhole = rows >= 0 && rows % ROW_BYTES === 0;
  if (!isWhole || new ByteReader(bytes.subarray(rows)).u32() !== crc32(bytes.subarray(0, rows)))
    throw archiveErrors.ARCHIVE_DAMAGED([key, 'its checksum does not hold']);
  return Array.from({ length: rows / ROW_BYTES }, () => ({ atMs: r.u64(), lsn: asLsn(r.u64()) }));
}

const hourOf = (atMs: number): number => Math.floor(atMs / HOUR_MS);
const timesPrefix = (volume: string): string => `${archivePrefix(volume)}times/`;
const epochIn = (key: string): number => Number(key.split('/').at(-1)?.split('-')[1]);
const hourIn = (key: string): number => Number(key.split('/').at(-1)?.split('-')[0]);

function timesKey(volume: string, hour: number, epoch: Epoch): string {
  return `${timesPrefix(volume)}${String(hour).padStart(8, '0')}-${String(epoch).padStart(10, '0')}`;
}
