/**
 * How often the kernel has each inode open, in a file that outlives the server's process where there is one: the next server must not
 * take away what has lost its last name and is open still.
 *
 * The file: a header of one page, 0 u32 number of marks, 8 the marks; then a row of 64 bytes an inode: 0 u64 inode, 8 u32 openings, 16 u64 the
 * request that changed it last, 24 u64 the number of that change. A row lies in one page, so a kill tears none. A mark is a request that was
 * counted by a server that may not have answered it: the last change of each server's.
 *
 * Counting too much costs the space of a file until the volume is opened anew; counting too little would cost the file.
 */
import * as fs from 'node:fs';
import { must } from '@rokka/kernel';
import { ramFile, type RamFile } from '@rokka/volume';

const HEADER_BYTES = 4096;
const MARKS_AT = 8;
const MARKS_MAX = (HEADER_BYTES - MARKS_AT) / 8;
const ROW_BYTES = 64;
const ROWS_AT_ONCE = 2048;

interface Row {
  readonly index: number;
  openings: number;
}

export class OpenCounts {
  readonly #fd: number | undefined;
  readonly #file: RamFile | undefined;
  readonly #onFull: () => void;
  readonly #rows = new Map<number, Row>();
  /** Numbers of rows that hold nothing, the one that has held nothing for longest first. */
  readonly #free: number[] = [];
  #marks: ReadonlySet<bigint> = new Set();
  #rowsMade = 0;
  #changes = 0n;
  #full = false;
  readonly #bytes = Buffer.alloc(ROW_BYTES);

  /**
   * @param fd of a file that is the server's alone; it stays the caller's. Without one nobody can go on from here.
   * @param onFull there is no room to count any more: nobody can, either
   */
  constructor(fd?: number, onFull: () => void = () => {}) {
    this.#fd = fd;
    this.#file = fd === undefined ? undefined : ramFile(fd);
    this.#onFull = onFull;
  }

  /** Begins with nothing open. */
  begin(): void {
    if (!this.#file) return;
    this.#file.truncate(0);
    this.#write(Buffer.alloc(HEADER_BYTES), 0);
  }

  /** Goes on with what the server before has left, and says how often each inode is open. */
  inherit(): ReadonlyMap<number, number> {
    const fd = must(this.#fd, 'counts of openings that nobody kept');
    const rows = readRows(fd);
    this.#rowsMade = rows.length;
    const last = rows.reduce((a, b) => (b.change > a.change ? b : a), { change: 0n, unique: 0n });
    this.#changes = last.change;
    this.#mark(fd, last.unique);
    const free = rows.filter(({ openings }) => openings === 0);
    free.sort((a, b) => Number(a.change - b.change));
    for (const { index } of free) this.#free.push(index);
    for (const { ino, index, openings } of rows) if (openings > 0) this.#rows.set(ino, { index, openings });
    return new Map([...this.#rows].map(([ino, { openings }]) => [ino, openings]));
  }

  opened(ino: number, unique: bigint): void {
    if (this.#fd === undefined) return;
    const row = this.#rows.get(ino) ?? { index: this.#free.shift() ?? this.#rowsMade++, openings: 0 };
    row.openings += 1;
    this.#rows.set(ino, row);
    this.#writeRow(ino, row, unique);
  }

  released(ino: number, unique: bigint): void {
    const row = this.#rows.get(ino);
    if (!row) return;
    row.openings -= 1;
    this.#writeRow(ino, row, unique);
    if (row.openings > 0) return;
    this.#rows.delete(ino);
    this.#free.push(row.index);
  }

  /** The kernel knows it no longer: openings that it did not end are over. */
  forgotten(ino: number): void {
    const row = this.#rows.get(ino);
    if (!row) return;
    row.openings = 1;
    this.released(ino, 0n);
  }

  /** Whether a server before this one has counted this request, which it may not have answered. */
  isCounted(unique: bigint): boolean {
    return this.#marks.has(unique);
  }

  /** Remembers it beyond this server as well: the kernel may send it again only to the next one. */
  #mark(fd: number, unique: bigint): void {
    const header = Buffer.alloc(HEADER_BYTES);
    fs.readSync(fd, header, 0, HEADER_BYTES, 0);
    const count = Math.min(header.readUInt32LE(0), MARKS_MAX);
    const marks = Array.from({ length: count }, (_, i) => header.readBigUInt64LE(MARKS_AT + i * 8));
    if (unique !== 0n && !marks.includes(unique)) marks.push(unique);
    this.#marks = new Set(marks.slice(-MARKS_MAX));
    header.writeUInt32LE(this.#marks.size, 0);
    for (const [i, mark] of [...this.#marks].entries()) header.writeBigUInt64LE(mark, MARKS_AT + i * 8);
    this.#write(header, 0);
  }

  #writeRow(ino: number, { index, openings }: Row, unique: bigint): void {
    const bytes = this.#bytes;
    bytes.writeBigUInt64LE(BigInt(ino), 0);
    bytes.writeUInt32LE(openings, 8);
    bytes.writeBigUInt64LE(unique, 16);
    bytes.writeBigUInt64LE(++this.#changes, 24);
    this.#write(bytes, HEADER_BYTES + index * ROW_BYTES);
  }

  /** Where memory is short, the mount goes on, and dies with this server. */
  #write(bytes: Buffer, at: number): void {
    if (!this.#file || this.#full) return;
    if (this.#file.write([bytes], at)) return;
    this.#full = true;
    this.#onFull();
  }
}

interface FoundRow {
  readonly index: number;
  readonly ino: number;
  readonly openings: number;
  readonly unique: bigint;
  readonly change: bigint;
}

function readRows(fd: number): FoundRow[] {
  const rows: FoundRow[] = [];
  const chunk = Buffer.alloc(ROW_BYTES * ROWS_AT_ONCE);
  for (;;) {
    const at = HEADER_BYTES + rows.length * ROW_BYTES;
    const count = Math.floor(fs.readSync(fd, chunk, 0, chunk.length, at) / ROW_BYTES);
    for (let i = 0; i < count; i++) {
      const row = chunk.subarray(i * ROW_BYTES);
      rows.push({
        index: rows.length,
        ino: Number(row.readBigUInt64LE(0)),
        openings: row.readUInt32LE(8),
        unique: row.readBigUInt64LE(16),
        change: row.readBigUInt64LE(24),
      });
    }
    if (count < ROWS_AT_ONCE) return rows;
  }
}
