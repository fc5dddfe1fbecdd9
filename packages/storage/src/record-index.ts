/**
 * Where the records of one segment lie in the node's log, in chain order. Kept in columns of typed arrays, 29 bytes a
 * record and no object: a node holds hundreds of thousands of these.
 *
 * A record has an ordinal, counted up from 0 for the life of the process; ordinals stay valid when the front is dropped.
 * Invariant: LSNs grow strictly with the ordinal.
 */
import { assert, type Lsn } from '@rokka/kernel';

/** What the index keeps of a record. Callers pass one object again and again, so that nothing is made per record. */
export interface IndexedRecord {
  lsn: Lsn;
  /** Page of the segment, counted from the segment's first. */
  page: number;
  /** Sequence number of the log file, and the record's first byte in it. */
  file: number;
  offset: number;
  length: number;
  flags: number;
}

/** 29 KiB: what a segment of few records costs. */
const CHUNK_RECORDS = 1024;
const RECORD_BYTES = 29;
const DEPTH_MAX = 0xffff;

/** All columns lie in one piece of memory, the widest first: eight pieces would be eight to make and to count. */
class Chunk {
  readonly lsn: Float64Array;
  readonly page: Uint32Array;
  readonly file: Uint32Array;
  readonly offset: Uint32Array;
  /** Ordinals back to the record before this one for the same page; 0 where there is none that still matters. */
  readonly back: Uint32Array;
  readonly length: Uint16Array;
  /** Records of this page, up to this one, that a read has to apply. */
  readonly depth: Uint16Array;
  readonly flags: Uint8Array;

  constructor() {
    const memory = new ArrayBuffer(CHUNK_RECORDS * RECORD_BYTES);
    const column = (width: number) => CHUNK_RECORDS * width;
    this.lsn = new Float64Array(memory, 0, CHUNK_RECORDS);
    this.page = new Uint32Array(memory, column(8), CHUNK_RECORDS);
    this.file = new Uint32Array(memory, column(12), CHUNK_RECORDS);
    this.offset = new Uint32Array(memory, column(16), CHUNK_RECORDS);
    this.back = new Uint32Array(memory, column(20), CHUNK_RECORDS);
    this.length = new Uint16Array(memory, column(24), CHUNK_RECORDS);
    this.depth = new Uint16Array(memory, column(26), CHUNK_RECORDS);
    this.flags = new Uint8Array(memory, column(28), CHUNK_RECORDS);
  }
}

export class RecordIndex {
  #chunks: Chunk[] = [];
  /** Ordinal of the first slot of the first chunk. */
  #origin = 0;
  #first = 0;
  #end = 0;

  /** Ordinal of the first record held; equals `end` where there is none. */
  get first(): number {
    return this.#first;
  }

  /** Ordinal that the next record will get. */
  get end(): number {
    return this.#end;
  }

  push(record: IndexedRecord): number {
    const ordinal = this.#end;
    assert(ordinal === this.#first || this.lsnAt(ordinal - 1) < record.lsn, 'the index grows by LSN');
    const slot = (ordinal - this.#origin) % CHUNK_RECORDS;
    if (ordinal - this.#origin === this.#chunks.length * CHUNK_RECORDS) this.#chunks.push(new Chunk());
    const chunk = this.#chunk(ordinal);
    chunk.lsn[slot] = record.lsn;
    chunk.page[slot] = record.page;
    chunk.file[slot] = record.file;
    chunk.offset[slot] = record.offset;
    chunk.length[slot] = record.length;
    chunk.flags[slot] = record.flags;
    chunk.back[slot] = 0;
    this.#end++;
    return ordinal;
  }

  lsnAt(ordinal: number): Lsn {
    return this.#chunk(ordinal).lsn[(ordinal - this.#origin) % CHUNK_RECORDS] as Lsn;
  }

  pageAt(ordinal: number): number {
    return this.#chunk(ordinal).page[(ordinal - this.#origin) % CHUNK_RECORDS];
  }

  flagsAt(ordinal: number): number {
    return this.#chunk(ordinal).flags[(ordinal - this.#origin) % CHUNK_RECORDS];
  }

  lengthAt(ordinal: number): number {
    return this.#chunk(ordinal).length[(ordinal - this.#origin) % CHUNK_RECORDS];
  }

  /** Fills `into` with the record at `ordinal`. */
  read(ordinal: number, into: IndexedRecord): IndexedRecord {
    const chunk = this.#chunk(ordinal);
    const slot = (ordinal - this.#origin) % CHUNK_RECORDS;
    into.lsn = chunk.lsn[slot] as Lsn;
    into.page = chunk.page[slot];
    into.file = chunk.file[slot];
    into.offset = chunk.offset[slot];
    into.length = chunk.length[slot];
    into.flags = chunk.flags[slot];
    return into;
  }

  /** The record has been written once more and lies there now. */
  relocate(ordinal: number, place: { file: number; offset: number }): void {
    const chunk = this.#chunk(ordinal);
    const slot = (ordinal - this.#origin) % CHUNK_RECORDS;
    chunk.file[slot] = place.file;
    chunk.offset[slot] = place.offset;
  }

  /** Ordinal of the record with this LSN, where there is one. */
  find(lsn: Lsn): number | undefined {
    const ordinal = this.firstAbove((lsn - 1) as Lsn);
    return ordinal < this.#end && this.lsnAt(ordinal) === lsn ? ordinal : undefined;
  }

  /** Remembers which record the page had before this one. Answers how many records a read has to apply now. */
  link(ordinal: number, previous: number | undefined, options: { restart: boolean }): number {
    const chunk = this.#chunk(ordinal);
    const slot = (ordinal - this.#origin) % CHUNK_RECORDS;
    chunk.back[slot] = previous === undefined ? 0 : ordinal - previous;
    const below = previous === undefined || options.restart ? 0 : this.#depthAt(previous);
    return (chunk.depth[slot] = Math.min(DEPTH_MAX, below + 1));
  }

  /** The record before this one for the same page, unless it was dropped or never linked. */
  previousOfPage(ordinal: number): number | undefined {
    const back = this.#chunk(ordinal).back[(ordinal - this.#origin) % CHUNK_RECORDS];
    const previous = ordinal - back;
    return back === 0 || previous < this.#first ? undefined : previous;
  }

  /** Ordinal of the first record above `lsn`; `end` where there is none. */
  firstAbove(lsn: Lsn): number {
    let low = this.#first;
    let high = this.#end;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      if (this.lsnAt(middle) <= lsn) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(lsn: Lsn): boolean {
    const ordinal = this.firstAbove(lsn) - 1;
    return ordinal >= this.#first && this.lsnAt(ordinal) === lsn;
  }

  /** Forgets every record at or below `lsn`; memory is given back by whole chunks. */
  dropThrough(lsn: Lsn): void {
    this.#first = this.firstAbove(lsn);
    const chunks = Math.floor((this.#first - this.#origin) / CHUNK_RECORDS);
    if (chunks === 0) return;
    this.#chunks.splice(0, chunks);
    this.#origin += chunks * CHUNK_RECORDS;
  }

  /** Takes the last record away. */
  pop(): void {
    assert(this.#end > this.#first, 'pop from an empty index');
    this.#end--;
    if (this.#end - this.#origin === (this.#chunks.length - 1) * CHUNK_RECORDS) this.#chunks.pop();
  }

  #depthAt(ordinal: number): number {
    return this.#chunk(ordinal).depth[(ordinal - this.#origin) % CHUNK_RECORDS];
  }

  #chunk(ordinal: number): Chunk {
    return this.#chunks[Math.floor((ordinal - this.#origin) / CHUNK_RECORDS)];
  }
}
