/**
 * How often the kernel has each inode open, in a file that outlives the server's process where there is one: the next server must not
 * take away what has lost its last name and is open still.
 *
 * One row an inode, of 32 bytes: 0 u64 inode, 8 u32 openings, 16 u64 the request that changed it last. A row that is used no more has no
 * openings, and is the last to be used again. Counting too much costs the space of a file until the volume is opened anew;
 * counting too little would cost the file.
 */
import * as fs from 'node:fs';
import { must } from '@rokka/kernel';

const ROW_BYTES = 32;
const ROWS_AT_ONCE = 2048;

interface Row {
  readonly index: number;
  openings: number;
  /** The request that changed it last. */
  unique: bigint;
}

export class OpenCounts {
  readonly #fd: number | undefined;
  readonly #rows = new Map<number, Row>();
  /** Numbers of rows that hold nothing, the one that has held nothing for longest first. */
  #free: number[] = [];
  /** Inodes that the server before had let go of, and the requests that asked it to. */
  readonly #released = new Map<number, bigint>();
  #rowsMade = 0;
  readonly #bytes = Buffer.alloc(ROW_BYTES);

  /** @param fd of a file that is the server's alone; it stays the caller's. Without one nobody can go on from here. */
  constructor(fd?: number) {
    this.#fd = fd;
  }

  /** Begins with nothing open. */
  begin(): void {
    if (this.#fd !== undefined) fs.ftruncateSync(this.#fd, 0);
  }

  /** Goes on with what the server before has left, and says how often each inode is open. */
  inherit(): ReadonlyMap<number, number> {
    const fd = must(this.#fd, 'counts of openings that nobody kept');
    const chunk = Buffer.alloc(ROW_BYTES * ROWS_AT_ONCE);
    for (;;) {
      const read = fs.readSync(fd, chunk, 0, chunk.length, this.#rowsMade * ROW_BYTES);
      const rows = Math.floor(read / ROW_BYTES);
      for (let i = 0; i < rows; i++) this.#take(chunk.subarray(i * ROW_BYTES, (i + 1) * ROW_BYTES));
      if (rows < ROWS_AT_ONCE) break;
    }
    return new Map([...this.#rows].map(([ino, { openings }]) => [ino, openings]));
  }

  opened(ino: number, unique: bigint): void {
    if (this.#fd === undefined) return;
    const row = this.#rows.get(ino) ?? { index: this.#newIndex(), openings: 0, unique };
    row.openings += 1;
    row.unique = unique;
    this.#rows.set(ino, row);
    this.#write(ino, row);
  }

  released(ino: number, unique: bigint): void {
    const row = this.#rows.get(ino);
    if (!row) return;
    row.openings -= 1;
    row.unique = unique;
    this.#write(ino, row);
    if (row.openings > 0) return;
    this.#rows.delete(ino);
    this.#free.push(row.index);
  }

  /** Whether the server before has counted this request, which it has not answered. */
  isCounted(ino: number, unique: bigint): boolean {
    return this.#rows.get(ino)?.unique === unique || this.#released.get(ino) === unique;
  }

  #take(bytes: Buffer): void {
    const index = this.#rowsMade++;
    const ino = Number(bytes.readBigUInt64LE(0));
    const openings = bytes.readUInt32LE(8);
    const unique = bytes.readBigUInt64LE(16);
    if (openings > 0) this.#rows.set(ino, { index, openings, unique });
    else {
      this.#free.push(index);
      this.#released.set(ino, unique);
    }
  }

  #newIndex(): number {
    // With few free ones the last one freed would soon be taken, and what it says of a request that was not answered.
    return this.#free.length > 1 ? must(this.#free.shift()) : this.#rowsMade++;
  }

  #write(ino: number, { index, openings, unique }: Row): void {
    if (this.#fd === undefined) return;
    this.#bytes.writeBigUInt64LE(BigInt(ino), 0);
    this.#bytes.writeUInt32LE(openings, 8);
    this.#bytes.writeBigUInt64LE(unique, 16);
    fs.writeSync(this.#fd, this.#bytes, 0, ROW_BYTES, index * ROW_BYTES);
  }
}
