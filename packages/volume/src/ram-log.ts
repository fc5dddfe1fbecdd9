/**
 * What a writer has taken and its nodes may not have yet, where the end of its process does not reach: two files in memory that
 * whoever started the writer holds open. The next writer on this machine reads it and goes on where this one was killed, so
 * that whoever wrote through it need not notice (a mount, and a database above).
 *
 * Invariants:
 * - A mini-transaction is here before anybody hears that it was taken, and stays until it is durable.
 * - It is read only by the writer that comes right after: whoever wrote in between is seen by the volume's epoch.
 * - What is not whole was never answered: a writer that is killed while it writes here leaves a torn last entry.
 *
 * Fault model: the process dies at any byte. The machine does not: then all who wrote through it are gone as well.
 *
 * The files are filled in turn from their beginnings, the first one behind a header of one page. One is begun anew when all in it is
 * durable, so they take as much memory as is on its way to the nodes, and a little more.
 *   header  0 magic, 8 u32 version, 12 u32 state, 16 u64 epoch of the writer, 24 u32 number of origins, 28 u32 epoch of who is taking over
 *           or 0, 32 the origins
 *   entry   0 u32 magic, 4 u32 length of the records, 8 u32 their number, 12 u32 CRC-32 of [16, 32), 16 u64 origin, 24 u64 LSN of the
 *           last record, 32 records
 * An entry says by its LSN which records are its own: one that is torn over an entry as long, from before, has the records of that one.
 */
import { assert, crc32, mutant, type Epoch, type Lsn } from '@rokka/kernel';
import { FLAG_CPL, readRecordHeader, recordIsSound, recordLengthAt } from '@rokka/quorum';
import { volumeErrors } from './errors.ts';
import type { RamFile } from './ram-file.ts';

/** What asked for a change, as whoever asked numbers its questions; 0n for nobody. */
export type Origin = bigint;

/** One mini-transaction as it was sealed. */
export interface KeptMtr {
  readonly origin: Origin;
  readonly recordCount: number;
  /** The LSN before the first of its records in the volume. */
  readonly previousLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly bytes: Uint8Array;
}

/** `writing`: all that was answered is here or durable. `taking-over`: it is not yet. `void`: it need not be. */
type State = 'writing' | 'taking-over' | 'void';
const STATES: readonly State[] = ['void', 'writing', 'taking-over'];

const MAGIC = 'ROKKA-RL';
const VERSION = 2;
const HEADER_BYTES = 4096;
const CLAIM_AT = 28;
const ORIGINS_AT = 32;
/** The newest of those that writers before this one knew. Few of them are unanswered still. */
const ORIGINS_MAX = (HEADER_BYTES - ORIGINS_AT) / 8;
const ENTRY_MAGIC = 0x4c4d_4152;
const ENTRY_BYTES = 32;
const CHECKED_AT = 16;
/** Far above what a writer may have on its way: its bytes, the headers of its entries, and one more mini-transaction. */
const HALF_BYTES = 128 * 1024 * 1024;
/** A half that took more gives it back when it is begun anew. */
const HALF_BYTES_KEPT = 4 * 1024 * 1024;
/** A half that holds less is not left: it would be begun anew all the time. */
const HALF_BYTES_LEAST = 256 * 1024;

export class RamLog {
  readonly #files: readonly [RamFile, RamFile];
  readonly #halfBytesLeast: number;
  readonly #entry = Buffer.alloc(ENTRY_BYTES);
  #halves = [
    { end: 0, lastLsn: 0 as Lsn },
    { end: 0, lastLsn: 0 as Lsn },
  ];
  #current = 0;
  #epoch = 0 as Epoch;
  /** Questions of which it is known that they were carried out, by writers that may not have answered them. */
  #settled: ReadonlySet<Origin> = new Set();
  #ended = false;
  /** What asks for whatever is appended next. */
  origin: Origin = 0n;

  /** @param files the writer's alone */
  constructor(files: readonly [RamFile, RamFile], options: { halfBytesLeast?: number } = {}) {
    this.#files = files;
    this.#halfBytesLeast = options.halfBytesLeast ?? HALF_BYTES_LEAST;
  }

  /** Begins with nothing, for a writer that takes nothing over. */
  begin(volumeEpoch: Epoch): void {
    this.#settled = new Set();
    this.#beginAs(volumeEpoch, 'writing');
  }

  /**
   * Before anything else of a take-over: whoever is killed in the middle of its recovery has written nothing, and the next one may take
   * over in its place.
   * @throws VOLUME_NOT_RESUMABLE where something else may have been written since
   */
  claim({ epochBefore, volumeEpoch }: { epochBefore: Epoch; volumeEpoch: Epoch }): void {
    const { state, epoch, claimed } = this.#readHeader();
    if (state !== 'writing') throw volumeErrors.VOLUME_NOT_RESUMABLE([`the log in memory is '${state}'`]);
    if (epochBefore !== epoch && epochBefore !== claimed && !mutant('claim-unchecked'))
      throw volumeErrors.VOLUME_NOT_RESUMABLE([
        `epoch ${epoch} wrote the log in memory, ${epochBefore} the volume`,
      ]);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(volumeEpoch, 0);
    if (!this.#files[0].write([bytes], CLAIM_AT))
      throw volumeErrors.VOLUME_NOT_RESUMABLE(['no memory is left to say who takes over']);
  }

  /**
   * What the writer before this one had taken beyond `vdl`, where recovery found the volume to end. From here on until `tookOver` nobody
   * can take over from this one. It has claimed before.
   * @throws VOLUME_NOT_RESUMABLE where something is missing
   */
  takeOver(of: { volumeEpoch: Epoch; vdl: Lsn }): KeptMtr[] {
    const { state, epoch, claimed, origins } = this.#readHeader();
    assert(state === 'writing' && claimed === of.volumeEpoch, 'a log in memory that was not claimed');
    const found = (mutant('ram-log-one-half') ? [0] : [0, 1]).flatMap((half) => this.#readHalf(half, epoch));
    found.sort((a, b) => a.lastLsn - b.lastLsn);
    this.#settled = new Set([...origins, ...found.map(({ origin }) => origin)].filter((one) => one !== 0n));
    const open = found.filter(({ lastLsn }) => lastLsn > of.vdl);
    let end = of.vdl;
    for (const { previousLsn, lastLsn } of open) {
      if (previousLsn !== end)
        throw volumeErrors.VOLUME_NOT_RESUMABLE([`LSN ${previousLsn} is missing behind ${end}`]);
      end = lastLsn;
    }
    this.#beginAs(of.volumeEpoch, 'taking-over');
    return open;
  }

  /** All that was taken over has been appended again. */
  tookOver(): void {
    if (!this.#ended) this.#writeHeader('writing');
  }

  /** Something that was answered is lost, or nobody shall go on from here. */
  end(): void {
    this.#ended = true;
    this.#writeHeader('void');
    this.#shrink();
  }

  /** Whether this question was carried out by a writer before this one. */
  isSettled(origin: Origin): boolean {
    return this.#settled.has(origin);
  }

  /**
   * Keeps one mini-transaction. When it returns, the end of this process does not matter to it.
   * @param durable what lies at or below it need not be kept
   */
  keep(mtr: Uint8Array, of: { recordCount: number; lastLsn: Lsn; durable: Lsn }): void {
    if (this.#ended) return;
    const half = this.#halfFor(of.durable);
    const entry = this.#entry;
    entry.writeUInt32LE(ENTRY_MAGIC, 0);
    entry.writeUInt32LE(mtr.length, 4);
    entry.writeUInt32LE(of.recordCount, 8);
    entry.writeBigUInt64LE(this.origin, 16);
    entry.writeBigUInt64LE(BigInt(of.lastLsn), 24);
    entry.writeUInt32LE(crc32(entry.subarray(CHECKED_AT)), 12);
    const sizeBytes = ENTRY_BYTES + mtr.length;
    assert(half.end + sizeBytes <= HALF_BYTES, 'more is on its way than a writer may have');
    const at = this.#startOf(this.#current) + half.end;
    // Where memory is short, a writer that nobody can take over from is better than none.
    if (!this.#files[this.#current].write([entry, mtr], at)) return this.end();
    half.end += sizeBytes;
    half.lastLsn = of.lastLsn;
  }

  #halfFor(durable: Lsn): { end: number; lastLsn: Lsn } {
    const current = this.#halves[this.#current];
    if (current.lastLsn <= durable || mutant('ram-log-forgets')) this.#beginHalf(this.#current);
    if (current.end < this.#halfBytesLeast) return current;
    const other = this.#halves[1 - this.#current];
    if (other.lastLsn > durable) return current;
    this.#current = 1 - this.#current;
    this.#beginHalf(this.#current);
    return other;
  }

  #beginHalf(number: number): void {
    const half = this.#halves[number];
    if (half.end > HALF_BYTES_KEPT) this.#files[number].truncate(this.#startOf(number));
    half.end = 0;
  }

  #beginAs(volumeEpoch: Epoch, state: State): void {
    this.#epoch = volumeEpoch;
    this.#ended = false;
    this.#current = 0;
    for (const half of this.#halves) {
      half.end = 0;
      half.lastLsn = 0 as Lsn;
    }
    this.#writeHeader(state);
    this.#shrink();
  }

  /** What was in it is read, or of no use any more: memory goes back. */
  #shrink(): void {
    for (const [half, file] of this.#files.entries()) file.truncate(this.#startOf(half));
  }

  #startOf(half: number): number {
    return half === 0 ? HEADER_BYTES : 0;
  }

  #writeHeader(state: State): void {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC, 0, 'latin1');
    header.writeUInt32LE(VERSION, 8);
    header.writeUInt32LE(STATES.indexOf(state), 12);
    header.writeBigUInt64LE(BigInt(this.#epoch), 16);
    const origins = [...this.#settled].slice(-ORIGINS_MAX);
    header.writeUInt32LE(origins.length, 24);
    for (const [i, origin] of origins.entries()) header.writeBigUInt64LE(origin, ORIGINS_AT + i * 8);
    if (!this.#files[0].write([header], 0)) this.#ended = true;
  }

  #readHeader(): { state: State; epoch: Epoch; claimed: Epoch; origins: Origin[] } {
    const header = Buffer.alloc(HEADER_BYTES);
    this.#files[0].read(header, 0);
    const known = header.toString('latin1', 0, 8) === MAGIC && header.readUInt32LE(8) === VERSION;
    const state = known ? (STATES[header.readUInt32LE(12)] ?? 'void') : 'void';
    const count = known ? Math.min(header.readUInt32LE(24), ORIGINS_MAX) : 0;
    return {
      state,
      epoch: Number(header.readBigUInt64LE(16)) as Epoch,
      claimed: header.readUInt32LE(CLAIM_AT) as Epoch,
      origins: Array.from({ length: count }, (_, i) => header.readBigUInt64LE(ORIGINS_AT + i * 8)),
    };
  }

  /** What lies behind the last whole entry is of the time before the half was begun anew, and durable. */
  #readHalf(half: number, epoch: Epoch): KeptMtr[] {
    const found: KeptMtr[] = [];
    const start = this.#startOf(half);
    const file = this.#files[half];
    const entry = Buffer.alloc(ENTRY_BYTES);
    for (let at = 0; at + ENTRY_BYTES <= HALF_BYTES;) {
      if (file.read(entry, start + at) < ENTRY_BYTES) break;
      if (
        entry.readUInt32LE(0) !== ENTRY_MAGIC ||
        entry.readUInt32LE(12) !== crc32(entry.subarray(CHECKED_AT))
      )
        break;
      const length = entry.readUInt32LE(4);
      if (at + ENTRY_BYTES + length > HALF_BYTES) break;
      const bytes = Buffer.alloc(length);
      if (file.read(bytes, start + at + ENTRY_BYTES) < length) break;
      const kept = readMtr(bytes, { recordCount: entry.readUInt32LE(8), origin: entry.readBigUInt64LE(16) });
      const lastLsn = Number(entry.readBigUInt64LE(24));
      if (!kept || kept.epoch !== epoch || kept.lastLsn !== lastLsn) break;
      found.push(kept);
      at += ENTRY_BYTES + length;
    }
    return found;
  }
}

/** Undefined where the bytes are not exactly `recordCount` sound records of one mini-transaction. */
function readMtr(
  bytes: Uint8Array,
  of: { recordCount: number; origin: Origin },
): (KeptMtr & { epoch: Epoch }) | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let count = 0;
  let first: ReturnType<typeof readRecordHeader> | undefined;
  let last: ReturnType<typeof readRecordHeader> | undefined;
  while (at < bytes.length) {
    const length = recordLengthAt(view, at);
    if (length === undefined || !recordIsSound(bytes.subarray(at, at + length))) return undefined;
    const header = readRecordHeader(view, at);
    if (last && header.lsn !== last.lsn + 1) return undefined;
    first ??= header;
    last = header;
    at += length;
    count++;
  }
  if (!first || !last || count !== of.recordCount || (last.flags & FLAG_CPL) === 0) return undefined;
  return {
    ...of,
    epoch: first.volumeEpoch,
    previousLsn: first.previousVolumeLsn,
    lastLsn: last.lsn,
    bytes,
  };
}
