/** Reads records back from the log through a window, because records that are needed together mostly lie together. */
import type { CodedError } from '@rokka/kernel';
import { readRecordHeader, recordIsSound } from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import type { StorageLog } from './log.ts';
import type { IndexedRecord } from './record-index.ts';

const WINDOW_BYTES = 128 * 1024;

export class LogReader {
  readonly #log: StorageLog;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  #file = 0;
  #start = 0;
  #end = 0;

  constructor(log: StorageLog) {
    this.#log = log;
  }

  /** The record, checked; a view that is valid until the next call. @throws STORAGE_LOG_DAMAGED */
  record(place: IndexedRecord): Uint8Array {
    const { file, offset, length } = place;
    if (file !== this.#file || offset < this.#start || offset + length > this.#end) {
      this.#file = file;
      this.#start = offset;
      this.#end = offset + this.#log.read(file, offset, this.#window);
    }
    const at = offset - this.#start;
    const record = this.#window.subarray(at, at + length);
    if (offset + length > this.#end || !recordIsSound(record)) throw this.damage(place);
    const { lsn } = readRecordHeader(new DataView(record.buffer, record.byteOffset, record.byteLength), 0);
    if (lsn !== place.lsn) throw this.damage(place);
    return record;
  }

  damage(place: IndexedRecord): CodedError {
    this.#file = 0;
    return storageErrors.STORAGE_LOG_DAMAGED([this.#log.path(place.file), place.offset]);
  }
}
