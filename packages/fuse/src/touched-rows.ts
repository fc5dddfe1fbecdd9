/**
 * Which inodes were written to and do not say so in their times on the volume, in a file that outlives the server's process: one u64 an
 * inode, 0 where a row is free. Whoever comes next gives them the time of its own coming.
 */
import * as fs from 'node:fs';
import type { Ino, TouchedInodes } from '@rokka/filesystem';
import { ramFile, type RamFile } from '@rokka/volume';

const ROW_BYTES = 8;

export class TouchedRows implements TouchedInodes {
  readonly #fd: number;
  readonly #file: RamFile;
  readonly #onFull: () => void;
  readonly #rows = new Map<Ino, number>();
  readonly #free: number[] = [];
  #rowsMade = 0;
  #full = false;
  readonly #bytes = Buffer.alloc(ROW_BYTES);

  /** @param onFull there is no room to remember more: nobody can go on from here */
  constructor(fd: number, onFull: () => void = () => {}) {
    this.#fd = fd;
    this.#file = ramFile(fd);
    this.#onFull = onFull;
  }

  /** Begins with none. */
  begin(): void {
    this.#file.truncate(0);
  }

  /** Those that the server before has left. They stay until they are deleted. */
  inherit(): readonly Ino[] {
    // By place: whoever had the file open before has moved the position that we share.
    const bytes = Buffer.alloc(fs.fstatSync(this.#fd).size);
    fs.readSync(this.#fd, bytes, 0, bytes.length, 0);
    this.#rowsMade = Math.floor(bytes.length / ROW_BYTES);
    for (let row = 0; row < this.#rowsMade; row++) {
      const ino = Number(bytes.readBigUInt64LE(row * ROW_BYTES)) as Ino;
      if (ino === 0) this.#free.push(row);
      else this.#rows.set(ino, row);
    }
    return [...this.#rows.keys()];
  }

  add(ino: Ino): void {
    if (this.#rows.has(ino)) return;
    const row = this.#free.pop() ?? this.#rowsMade++;
    this.#rows.set(ino, row);
    this.#write(row, ino);
  }

  delete(ino: Ino): void {
    const row = this.#rows.get(ino);
    if (row === undefined) return;
    this.#rows.delete(ino);
    this.#free.push(row);
    this.#write(row, 0);
  }

  #write(row: number, value: number): void {
    if (this.#full) return;
    this.#bytes.writeBigUInt64LE(BigInt(value), 0);
    if (this.#file.write([this.#bytes], row * ROW_BYTES)) return;
    this.#full = true;
    this.#onFull();
  }
}
