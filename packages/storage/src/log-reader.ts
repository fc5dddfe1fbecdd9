/**
 * Reads records back from the log through a window. It grows while reading goes forward, as gossip does, and shrinks when it
 * jumps about, as page by page application does.
 */
import type { CodedError } from '@rokka/kernel';
import { readRecordHeader, recordIsSound } from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import type { StorageLog } from './log.ts';
import type { IndexedRecord } from './record-index.ts';

const WINDOW_BYTES_MIN = 4 * 1024;
const WINDOW_BYTES_MAX = 128 * 1024;

export class LogReader {
  readonly #log: StorageLog;
  /** As long as was ever asked for: many a node reads little back. */
  #window = new Uint8Array(0);
  #windowBytes = WINDOW_BYTES_MIN;
  #file = 0;
  #start = 0;
  #end = 0;

  constructor(log: StorageLog) {
    this.#log = log;
  }

  /** The record, checked; a view that is valid until the next call. @throws STORAGE_LOG_DAMAGED */
  record(place: IndexedRecord): Uint8Array {
    const { file, offset, length } = place;
    if (file !== this.#file || offset < this.#start || offset + length > this.#end) this.#move(place);
    const at = offset - this.#start;
    const record = this.#window.subarray(at, at + length);
    if (offset + length > this.#end || !recordIsSound(record)) throw this.#damage(place);
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    if (readRecordHeader(view, 0).lsn !== place.lsn) throw this.#damage(place);
    return record;
  }

  #move(place: IndexedRecord): void {
    const { file, offset, length } = place;
    const forward = file === this.#file && offset >= this.#start && offset <= this.#end + WINDOW_BYTES_MIN;
    this.#windowBytes = forward ? Math.min(WINDOW_BYTES_MAX, this.#windowBytes * 2) : WINDOW_BYTES_MIN;
    const need = Math.max(length, this.#windowBytes);
    if (need > this.#window.length) this.#window = new Uint8Array(need);
    const into = this.#window.subarray(0, need);
    this.#file = file;
    this.#start = offset;
    this.#end = offset + this.#log.read(file, offset, into);
  }

  #damage(place: IndexedRecord): CodedError {
    this.#file = 0;
    const { lsn, file, offset } = place;
    const more = { detail: { lsn, file, offset } };
    return storageErrors.STORAGE_LOG_DAMAGED([this.#log.path(file), offset], more);
  }
}
