/**
 * The content of a file on a simulated disk: the bytes as the page cache has them and, for each sector written since the last
 * sync, what the disk itself still holds. Sectors reach the disk whole and in any order; that is all the atomicity there is.
 */
import type { SeededRandom } from '@rokka/kernel';
import { ChunkedBytes } from './chunked-bytes.ts';
import type { Tear } from './sim-disk.ts';

export class Inode {
  readonly #sectorBytes: number;
  readonly #bytes = new ChunkedBytes();
  #size = 0;
  #syncedSize = 0;
  /** The sectors that differ from the disk's and began below the synced size, in the order of their places in `#onDisk`. */
  readonly #dirty: number[] = [];
  /** By sector, the place in `#onDisk` and one more; 0 where it is not dirty. */
  #places = new Uint32Array(0);
  /** What the disk has of them, one behind the other: between two syncs they are few. */
  readonly #onDisk = new ChunkedBytes();

  constructor(sectorBytes: number) {
    this.#sectorBytes = sectorBytes;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(this.#size - at, length)));
    this.#bytes.copyInto(bytes, at);
    return bytes;
  }

  readInto(into: Uint8Array, at: number): number {
    const length = Math.max(0, Math.min(this.#size - at, into.length));
    this.#bytes.copyInto(length === into.length ? into : into.subarray(0, length), at);
    return length;
  }

  write(bytes: Uint8Array, at: number): void {
    const end = at + bytes.length;
    this.#makeRoom(end);
    // What lies beyond the synced size is new as a whole, and has no old content to keep.
    const oldEnd = Math.min(end, this.#syncedSize);
    this.#keepOld(at, oldEnd);
    this.#bytes.set(bytes, at);
    this.#size = Math.max(this.#size, end);
  }

  get hasUnsynced(): boolean {
    return this.#dirty.length > 0 || this.#size > this.#syncedSize;
  }

  sync(): void {
    for (const sector of this.#dirty) this.#places[sector] = 0;
    this.#dirty.length = 0;
    this.#syncedSize = this.#size;
  }

  truncate(sizeBytes: number): void {
    this.#makeRoom(sizeBytes);
    this.#bytes.zero(sizeBytes, Math.max(this.#size, sizeBytes));
    this.#size = sizeBytes;
    this.sync();
  }

  flip(at: number, bit: number): void {
    this.#bytes.flip(at, bit);
  }

  powerLoss(random: SeededRandom, tear: Tear): void {
    const sectors = this.#unsynced();
    const keptThrough = tear === 'prefix' ? random.below(sectors.length + 1) : 0;
    const sizeBefore = this.#size;
    let size = this.#syncedSize;
    for (const [place, sector] of sectors.entries()) {
      const kept = tear === 'none' || (tear === 'some' && random.chance(0.5)) || place < keptThrough;
      const at = sector * this.#sectorBytes;
      if (kept) size = Math.max(size, Math.min(sizeBefore, at + this.#sectorBytes));
      else this.#restore(sector);
    }
    this.#bytes.zero(size, sizeBefore);
    this.#size = size;
    this.sync();
  }

  /** Nobody reads or writes it any more. */
  release(): void {
    this.#bytes.release();
    this.#onDisk.release();
  }

  /** In ascending order. */
  #unsynced(): number[] {
    const sectors = this.#dirty.toSorted((a, b) => a - b);
    const firstNew = Math.ceil(this.#syncedSize / this.#sectorBytes);
    for (let sector = firstNew; sector * this.#sectorBytes < this.#size; sector++) sectors.push(sector);
    return sectors;
  }

  /** Of every sector in the range that has not been written since the last sync. */
  #keepOld(from: number, to: number): void {
    const sectorBytes = this.#sectorBytes;
    const end = Math.ceil(to / sectorBytes);
    for (let sector = Math.floor(from / sectorBytes); sector < end; sector++) {
      const first = sector;
      const place = this.#dirty.length;
      for (; sector < end && this.#places[sector] === 0; sector++)
        this.#places[sector] = this.#dirty.push(sector);
      if (sector > first) this.#keep({ first, end: sector, place });
    }
  }

  /** Sectors side by side, at places side by side. */
  #keep({ first, end, place }: { first: number; end: number; place: number }): void {
    const sectorBytes = this.#sectorBytes;
    const from = first * sectorBytes;
    const bytes = Math.min(end * sectorBytes, this.#syncedSize) - from;
    this.#onDisk.grow(place * sectorBytes + bytes);
    this.#bytes.copyTo(this.#onDisk, { from, at: place * sectorBytes, bytes });
  }

  /** The sector is as the disk has it. */
  #restore(sector: number): void {
    const at = sector * this.#sectorBytes;
    this.#bytes.zero(at, at + this.#sectorBytes);
    const place = this.#places[sector] ?? 0;
    const bytes = Math.min(this.#sectorBytes, this.#syncedSize - at);
    if (place > 0 && bytes > 0)
      this.#onDisk.copyTo(this.#bytes, { from: (place - 1) * this.#sectorBytes, at, bytes });
  }

  #makeRoom(end: number): void {
    // Whole sectors, so that a torn one can be filled.
    const sectors = Math.ceil(end / this.#sectorBytes);
    this.#bytes.grow(sectors * this.#sectorBytes);
    if (sectors <= this.#places.length) return;
    const places = new Uint32Array(Math.max(sectors, this.#places.length * 2));
    places.set(this.#places);
    this.#places = places;
  }
}
