/**
 * The node's one log: everything that any of its segments must remember, appended to a batch in memory and made durable by
 * one write and one sync for all of them. What arrives while the process waits for the sync is the next batch.
 *
 * Invariants:
 * - Nothing is acknowledged before the flush that covers it: `whenDurable` is the only way to learn of that.
 * - A batch is written only when the one before it is synced (log-replay.ts relies on it).
 * - A full disk before the sync loses nothing: the batch stays in memory and is written again at the same place.
 * - After a failed sync the page cache tells nothing about the disk, so the log stops for good (fsyncgate).
 */
import { assert, isCoded, mutant, type Clock, type CodedError, type Disk, type Lsn } from '@rokka/kernel';
import { storageErrors } from './errors.ts';
import { diskError, LogFiles } from './log-files.ts';
import { alignUp, BATCH_ALIGN_BYTES, BATCH_HEADER_BYTES, ENTRY, sealBatch } from './log-format.ts';
import { ENTRY_HEADER_BYTES, putU64, RECORDS_HEAD_BYTES } from './log-format.ts';
import { replayLog, type LogReplay } from './log-replay.ts';

export interface StorageLogOptions {
  disk: Disk;
  directory: string;
  /** Identity of this log, LOG_IDENTITY_BYTES random bytes. */
  identity: Uint8Array;
  /** A multiple of 4096. */
  fileBytes: number;
  /** Most bytes in one write and sync. */
  batchBytes: number;
  clock: Clock;
  /** The body of a MANIFEST entry: the state as of everything flushed. */
  manifest: () => Uint8Array;
  /** A new file has begun with `manifest`: files before it may be dropped. */
  onRotated: () => void;
  /** Called once, when the log has stopped for good. */
  onStopped: (error: CodedError) => void;
  /** The disk is full: nothing is acknowledged until there is space. Called once for each time. */
  onStalled: (error: CodedError) => void;
}

const RETRY_MS = 200;
/** Larger batches are read back soon and by many, to become pages: they are worth the page cache. */
const THROUGH_BYTES_MAX = 64 * 1024;
const SPARE_STEP_MS = 5;

export class StorageLog implements Disposable {
  readonly #options: StorageLogOptions;
  readonly #files: LogFiles;
  /** The batch being filled. Empty while #length is 0, without entries at BATCH_HEADER_BYTES. */
  #buffer: Uint8Array;
  #view: DataView;
  #length = 0;
  #limit = 0;
  /** The RECORDS entry that is still open, 0 where none is. */
  #entryAt = 0;
  #entrySegment = 0;
  #entryVdl = 0 as Lsn;
  /** Where the batch being filled will stand. */
  #file = 0;
  #offset = 0;
  #fileEnd = 0;
  #sequence = 1;
  #waiting: (() => void)[] = [];
  #flushSoon = false;
  #failure: CodedError | undefined;
  #final = false;
  #stalled = false;
  #retryAtMs = -Infinity;
  /** Highest LSN of each segment in each file: a file goes when all of them are at or below the floors. */
  readonly #contents = new Map<number, Map<number, Lsn>>();
  /** Where the batches of each file end; the current one grows. */
  readonly #ends = new Map<number, number>();
  syncCount = 0;
  bytesWritten = 0;

  constructor(options: StorageLogOptions) {
    assert(options.fileBytes % BATCH_ALIGN_BYTES === 0, 'log file size out of alignment');
    this.#options = options;
    this.#files = new LogFiles(options);
    this.#buffer = batchMemory(options.disk, options.batchBytes);
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Why nothing can be appended now, if so. STORAGE_DISK_FULL passes; any other is final. */
  get failure(): CodedError | undefined {
    return this.#failure;
  }

  get sizeBytes(): number {
    return this.#files.bytes;
  }

  /** The files, oldest first, and where what was written to each ends: what a scrub has to look at. */
  get extents(): { file: number; end: number }[] {
    return [...this.#contents.keys()].map((file) => ({ file, end: this.#endOf(file) }));
  }

  get identity(): Uint8Array {
    return this.#options.identity;
  }

  get fileCount(): number {
    return this.#contents.size;
  }

  /** The oldest file and what is in it, for whoever wants it gone. */
  get oldest(): ReadonlyMap<number, Lsn> | undefined {
    for (const [file, contents] of this.#contents) return file === this.#file ? undefined : contents;
    return undefined;
  }

  /** The file that the next reserved record will lie in; ask after `reserve`. */
  get file(): number {
    return this.#file;
  }

  /** Makes the first file. For a directory that holds nothing yet. */
  create(): void {
    for (const sequence of this.#files.sequences) this.#files.drop(sequence);
    this.#rotate(0);
  }

  /** Reads back what is there. @throws STORAGE_DIRECTORY_EMPTIED, STORAGE_DISK_FAILED */
  open(replay: LogReplay): void {
    for (const file of this.#files.sequences) this.#contents.set(file, new Map());
    const end = replayLog(this.#files, this.#options.identity, replay);
    if (!end) throw storageErrors.STORAGE_DIRECTORY_EMPTIED([this.#options.directory]);
    for (const sequence of this.#files.sequences) {
      if (sequence <= end.file) continue;
      this.#files.drop(sequence);
      this.#contents.delete(sequence);
    }
    this.#file = end.file;
    this.#offset = end.offset;
    this.#fileEnd = this.#files.file(end.file).sizeBytes();
    this.#sequence = end.nextSequence;
    for (const [file, at] of end.ends) this.#ends.set(file, at);
    const { last } = end;
    if (!last) return;
    // It may have been read from a page cache that a failed sync left clean but never written: make it dirty again.
    const file = this.#files.file(last.file);
    const bytes = new Uint8Array(alignUp(last.length));
    file.read(bytes, last.offset);
    this.#writeAndSync(bytes, last.file, last.offset);
  }

  /** Notes that a record of `segment` lies in `file`; replay does what `put` does while serving. */
  note(file: number, segment: number, lsn: Lsn): void {
    const contents = this.#contents.get(file);
    assert(contents, () => `log file ${file} is unknown`);
    if ((contents.get(segment) ?? 0) < lsn) contents.set(segment, lsn);
  }

  /**
   * Makes room for one record and answers the offset in `file` at which `put` will lay it. May flush; so everything that
   * was put before must be in the caller's state by now.
   * @throws STORAGE_DISK_FULL, STORAGE_DISK_FAILED
   */
  reserve(segment: number, vdl: Lsn, length: number): number {
    const open = this.#entryAt > 0 && this.#entrySegment === segment && this.#entryVdl === vdl;
    if (!open || this.#length + length > this.#limit) {
      this.#demand(ENTRY_HEADER_BYTES + RECORDS_HEAD_BYTES + length);
      this.#entryAt = this.#length;
      this.#entrySegment = segment;
      this.#entryVdl = vdl;
      this.#buffer[this.#length] = ENTRY.RECORDS;
      this.#view.setUint32(this.#length + ENTRY_HEADER_BYTES, segment, true);
      putU64(this.#view, this.#length + ENTRY_HEADER_BYTES + 4, vdl);
      this.#length += ENTRY_HEADER_BYTES + RECORDS_HEAD_BYTES;
    }
    return this.#offset + this.#length;
  }

  /** Lays down the record that `reserve` made room for. */
  put(record: Uint8Array, lsn: Lsn): void {
    this.#buffer.set(record, this.#length);
    this.#length += record.length;
    this.note(this.#file, this.#entrySegment, lsn);
    this.#schedule();
  }

  /** Room for a control entry, for whoever must know before he changes anything: it is then appended without fail. @throws as `append` does */
  makeRoom(body: Uint8Array): void {
    this.#demand(ENTRY_HEADER_BYTES + body.length);
  }

  /** Appends a control entry. May flush, as `reserve` may. @throws STORAGE_DISK_FULL, STORAGE_DISK_FAILED */
  append(type: number, body: Uint8Array): void {
    this.#demand(ENTRY_HEADER_BYTES + body.length);
    this.#buffer[this.#length] = type;
    this.#view.setUint32(this.#length + 1, body.length, true);
    this.#buffer.set(body, this.#length + ENTRY_HEADER_BYTES);
    this.#length += ENTRY_HEADER_BYTES + body.length;
    this.#schedule();
  }

  /** Calls `run` when everything appended so far is on the disk; not at all where the log fails for good. */
  whenDurable(run: () => void): void {
    this.#waiting.push(run);
    this.#schedule();
  }

  /** One write and one sync for all that was appended. @throws STORAGE_DISK_FULL, STORAGE_DISK_FAILED */
  flush(): void {
    if (this.#final) throw this.#failure;
    this.#closeEntry();
    if (mutant('ack-before-sync')) this.#answerWaiting();
    if (this.#length > BATCH_HEADER_BYTES) {
      const batch = this.#buffer.subarray(0, this.#length);
      sealBatch(batch, this.#options.identity, {
        sequence: this.#sequence,
        file: this.#file,
        offset: this.#offset,
      });
      const padded = this.#buffer.subarray(0, alignUp(this.#length)).fill(0, this.#length);
      this.#writeAndSync(padded, this.#file, this.#offset);
      this.#sequence++;
      this.#offset += padded.length;
    }
    this.#length = 0;
    this.#failure = undefined;
    this.#answerWaiting();
  }

  /** Begins a new file with a manifest now, whatever room the current one has. @throws as `flush` does */
  rotate(): void {
    this.flush();
    this.#rotate(0);
  }

  /** Reads durable bytes; answers how many there were. */
  read(file: number, offset: number, into: Uint8Array): number {
    // What lies behind the end of the log is what a recycled file held before.
    const end = file === this.#file ? Math.max(0, this.#offset - offset) : into.length;
    return this.#files.file(file).read(into.subarray(0, end), offset);
  }

  #endOf(file: number): number {
    return file === this.#file ? this.#offset : (this.#ends.get(file) ?? 0);
  }

  path(file: number): string {
    return this.#files.file(file).path;
  }

  /** Drops the oldest files as long as each holds only records at or below its segments' floors. */
  dropFiles(floorOf: (segment: number) => Lsn): void {
    for (const [file, contents] of this.#contents) {
      if (file === this.#file) return;
      for (const [segment, lsn] of contents) if (lsn > floorOf(segment)) return;
      this.#contents.delete(file);
      this.#ends.delete(file);
      this.#files.drop(file);
    }
  }

  [Symbol.dispose](): void {
    this.#failure ??= storageErrors.STORAGE_CLOSED([this.#options.directory]);
    this.#final = true;
    this.#files[Symbol.dispose]();
  }

  #answerWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }

  #schedule(): void {
    if (this.#flushSoon || this.#final) return;
    this.#flushSoon = true;
    this.#options.clock.soon(() => {
      this.#flushSoon = false;
      this.#tryFlush();
    });
  }

  #tryFlush(): void {
    if (this.#final) return;
    try {
      this.flush();
    } catch (error) {
      // `flush` has noted the failure, and a full disk is tried again by a timer.
      if (!isCoded(error)) throw error;
    }
  }

  /** Room for `need` bytes of entry in the batch, which is begun if need be. */
  #demand(need: number): void {
    if (this.#failure) throw this.#failure;
    this.#closeEntry();
    if (this.#length > 0 && this.#length + need > this.#limit) this.flush();
    if (this.#length > 0) return;
    const least = BATCH_HEADER_BYTES + need;
    if (least > this.#buffer.length) {
      this.#buffer = batchMemory(this.#options.disk, least);
      this.#view = new DataView(this.#buffer.buffer);
    }
    if (this.#fileEnd - this.#offset < alignUp(least)) this.#rotate(least);
    this.#limit = Math.min(this.#buffer.length, this.#fileEnd - this.#offset);
    this.#length = BATCH_HEADER_BYTES;
  }

  #closeEntry(): void {
    if (this.#entryAt === 0) return;
    const bodyBytes = this.#length - this.#entryAt - ENTRY_HEADER_BYTES;
    // Reserved and never put: a duplicate.
    if (bodyBytes === RECORDS_HEAD_BYTES) this.#length = this.#entryAt;
    else this.#view.setUint32(this.#entryAt + 1, bodyBytes, true);
    this.#entryAt = 0;
  }

  /** The next file, begun with a manifest; with room for a batch of `least` bytes behind it. */
  #rotate(least: number): void {
    const { clock, manifest, identity } = this.#options;
    if (clock.nowMs() < this.#retryAtMs) throw storageErrors.STORAGE_DISK_FULL([this.#options.directory]);
    const body = manifest();
    const length = BATCH_HEADER_BYTES + ENTRY_HEADER_BYTES + body.length;
    const padded = new Uint8Array(alignUp(length));
    const batch = padded.subarray(0, length);
    batch[BATCH_HEADER_BYTES] = ENTRY.MANIFEST;
    new DataView(batch.buffer).setUint32(BATCH_HEADER_BYTES + 1, body.length, true);
    batch.set(body, BATCH_HEADER_BYTES + ENTRY_HEADER_BYTES);
    const file = this.#file + 1;
    sealBatch(batch, identity, { sequence: this.#sequence, file, offset: 0 });
    try {
      // A first try may have made the file and failed to write to it.
      if (!this.#files.sequences.includes(file)) this.#files.create(file, padded.length + alignUp(least));
      this.#writeAndSync(padded, file, 0);
    } catch (error) {
      // Nothing is lost and nothing pends: whoever wanted to append is refused, and the next who tries may succeed.
      if (!this.#final) this.#failure = undefined;
      if (isCoded(error, 'STORAGE_DISK_FULL')) this.#stall(error);
      this.#retryAtMs = clock.nowMs() + RETRY_MS;
      throw error;
    }
    this.#sequence++;
    this.#ends.set(this.#file, this.#offset);
    this.#file = file;
    this.#offset = padded.length;
    this.#fileEnd = this.#files.file(file).sizeBytes();
    this.#contents.set(file, new Map());
    this.#options.onRotated();
    clock.after(SPARE_STEP_MS, () => this.#prepareSpare());
  }

  #prepareSpare(): void {
    if (this.#final) return;
    try {
      if (this.#files.prepareSpare()) this.#options.clock.after(SPARE_STEP_MS, () => this.#prepareSpare());
    } catch (error) {
      // No spare now; the next rotation needs one and says so to whoever wants to append.
      if (!isCoded(error)) throw error;
    }
  }

  #writeAndSync(bytes: Uint8Array, sequence: number, offset: number): void {
    const file = this.#files.file(sequence);
    let written = false;
    try {
      if (bytes.length > THROUGH_BYTES_MAX || !file.writeThrough?.(bytes, offset)) {
        file.write([bytes], offset);
        written = true;
        file.sync();
      }
    } catch (error) {
      const failure = diskError(error, file.path);
      if (written || failure.code !== 'STORAGE_DISK_FULL') throw this.#stop(failure);
      this.#stall(failure);
      this.#failure = failure;
      this.#options.clock.after(RETRY_MS, () => this.#tryFlush());
      throw failure;
    }
    this.#stalled = false;
    this.syncCount++;
    this.bytesWritten += bytes.length;
  }

  #stall(error: CodedError): void {
    if (!this.#stalled) this.#options.onStalled(error);
    this.#stalled = true;
  }

  #stop(cause: CodedError): CodedError {
    this.#final = true;
    this.#waiting = [];
    const why = `${cause.message}; the node stops, because what the disk holds is unknown. Check the disk, then start it again`;
    this.#failure = storageErrors.STORAGE_DISK_FAILED([this.#options.directory, why], { cause });
    this.#options.onStopped(this.#failure);
    return this.#failure;
  }
}

function batchMemory(disk: Disk, leastBytes: number): Uint8Array {
  const bytes = alignUp(leastBytes);
  return disk.memory?.(bytes) ?? new Uint8Array(bytes);
}
