/**
 * The content of a file on a simulated disk: the bytes as the page cache has them and, for each sector written since the last
 * sync, what the disk itself still holds. Sectors reach the disk whole and in any order; that is all the atomicity there is.
 */
import type { SeededRandom } from '@rokka/kernel';
import type { Tear } from './sim-disk.ts';

export class Inode {
  readonly #sectorBytes: number;
  #bytes = new Uint8Array(0);
  #size = 0;
  #syncedSize = 0;
  /** The sectors that differ from the disk's and began below the synced size, and which place each has in `#onDisk`. */
  readonly #dirty = new Map<number, number>();
  /** What the disk has of them, one behind the other: between two syncs they are few. */
  #onDisk = new Uint8Array(0);

  constructor(sectorBytes: number) {
    this.#sectorBytes = sectorBytes;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  read(at: number, length: number): Uint8Array {
    return this.#bytes.slice(at, Math.min(this.#size, at + length));
  }

  readInto(into: Uint8Array, at: number): number {
    if (at >= this.#size) return 0;
    const part = this.#bytes.subarray(at, Math.min(this.#size, at + into.length));
    into.set(part);
    return part.length;
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

  sync(): void {
    this.#dirty.clear();
    this.#syncedSize = this.#size;
  }

  truncate(sizeBytes: number): void {
    this.#makeRoom(sizeBytes);
    this.#bytes.fill(0, sizeBytes);
    this.#size = sizeBytes;
    this.sync();
  }

  flip(at: number, bit: number): void {
    this.#bytes[at] = (this.#bytes[at] ?? 0) ^ (1 << bit);
  }

  powerLoss(random: SeededRandom, tear: Tear): void {
    const sectors = this.#unsynced();
    const keptThrough = tear === 'prefix' ? random.below(sectors.length + 1) : 0;
    let size = this.#syncedSize;
    for (const [place, sector] of sectors.entries()) {
      const kept = tear === 'none' || (tear === 'some' && random.chance(0.5)) || place < keptThrough;
      const at = sector * this.#sectorBytes;
      if (kept) {
        size = Math.max(size, Math.min(this.#size, at + this.#sectorBytes));
      } else {
        this.#bytes.fill(0, at, at + this.#sectorBytes);
        const place = this.#dirty.get(sector);
        if (place !== undefined) this.#restore(at, place * this.#sectorBytes);
      }
    }
    this.#bytes.fill(0, size);
    this.#size = size;
    this.sync();
  }

  /** In ascending order. */
  #unsynced(): number[] {
    const sectors = [...this.#dirty.keys()].sort((a, b) => a - b);
    const firstNew = Math.ceil(this.#syncedSize / this.#sectorBytes);
    for (let sector = firstNew; sector * this.#sectorBytes < this.#size; sector++) sectors.push(sector);
    return sectors;
  }

  /** Of every sector in the range that has not been written since the last sync. */
  #keepOld(from: number, to: number): void {
    const sectorBytes = this.#sectorBytes;
    for (let sector = Math.floor(from / sectorBytes); sector * sectorBytes < to; sector++) {
      if (this.#dirty.has(sector)) continue;
      const place = this.#dirty.size;
      this.#dirty.set(sector, place);
      const at = sector * sectorBytes;
      const end = Math.min(at + sectorBytes, this.#syncedSize);
      this.#onDisk = withRoom(this.#onDisk, (place + 1) * sectorBytes);
      this.#onDisk.set(this.#bytes.subarray(at, end), place * sectorBytes);
    }
  }

  /** What was synced of the sector at `at` lies at `from` in `#onDisk`. */
  #restore(at: number, from: number): void {
    const length = Math.min(this.#sectorBytes, this.#syncedSize - at);
    if (length > 0) this.#bytes.set(this.#onDisk.subarray(from, from + length), at);
  }

  #makeRoom(end: number): void {
    // Whole sectors, so that a torn one can be filled.
    this.#bytes = withRoom(this.#bytes, Math.ceil(end / this.#sectorBytes) * this.#sectorBytes);
  }
}

function withRoom(bytes: Uint8Array<ArrayBuffer>, need: number): Uint8Array<ArrayBuffer> {
  if (need <= bytes.length) return bytes;
  const roomier = new Uint8Array(Math.max(need, bytes.length * 2));
  roomier.set(bytes);
  return roomier;
}
