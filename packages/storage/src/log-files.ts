/**
 * The files of the log: `<sequence>.log`, all of one size, the newest being written. A file is written full of zeroes and
 * synced before its first batch, because overwriting needs no journal commit of the file system and growing does
 * (7,000 syncs a second against 300). One spare is made ready; files that are dropped become spares again, a few at a time: under a
 * stream of large writes they are dropped in heaps, and each that is made anew is written twice.
 */
import { assert, isCoded, must, type CodedError, type Disk, type DiskFile } from '@rokka/kernel';
import { storageErrors } from './errors.ts';

const SUFFIX = '.log';
const SPARE = /^spare(-\d+)?$/;
const UNREADY = 'spare.new';
/** Beside what the log itself takes. */
const SPARES_MAX = 4;
const SEQUENCE_DIGITS = 12;
/** Zeroes written and synced in one go while the node serves: about what a full batch costs. */
const SLICE_BYTES = 512 * 1024;
const ZEROES = new Uint8Array(SLICE_BYTES);

export interface LogFilesOptions {
  disk: Disk;
  directory: string;
  fileBytes: number;
}

export class LogFiles implements Disposable {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #fileBytes: number;
  readonly #open = new Map<number, DiskFile>();
  /** Names of files that are ready to become the next one. */
  readonly #spares: string[] = [];
  #preparing: { file: DiskFile; written: number } | undefined;

  constructor(options: LogFilesOptions) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#fileBytes = options.fileBytes;
    this.#disk.makeDirectory(this.#directory);
    for (const name of this.#disk.list(this.#directory)) {
      const sequence = sequenceOf(name);
      if (sequence !== undefined) this.#open.set(sequence, this.#disk.open(this.#path(name)));
      else if (SPARE.test(name)) this.#spares.push(name);
    }
    // A spare that was not finished, or is of another size, is worth nothing.
    this.#remove(UNREADY);
    this.#dropSpares((name) => this.#sizeOf(name) !== this.#fileBytes);
  }

  /** Oldest first. */
  get sequences(): number[] {
    return [...this.#open.keys()].sort((a, b) => a - b);
  }

  get bytes(): number {
    return this.#open.size * this.#fileBytes;
  }

  get hasSpare(): boolean {
    return this.#spares.length > 0;
  }

  file(sequence: number): DiskFile {
    const file = this.#open.get(sequence);
    assert(file, () => `log file ${sequence} is not open`);
    return file;
  }

  /**
   * A new newest file, durable under its name, of at least `leastBytes`.
   * @throws STORAGE_DISK_FULL, STORAGE_DISK_FAILED
   */
  create(sequence: number, leastBytes: number): DiskFile {
    assert(!this.#open.has(sequence), () => `log file ${sequence} exists`);
    return this.#guard(() => {
      if (leastBytes > this.#fileBytes) this.#dropSpares(() => true);
      while (!this.hasSpare) this.#prepare(Math.max(leastBytes, this.#fileBytes));
      const path = this.#path(nameOf(sequence));
      this.#disk.rename(this.#path(must(this.#spares.at(-1))), path);
      this.#spares.pop();
      this.#disk.syncDirectory(this.#directory);
      const file = this.#disk.open(path);
      this.#open.set(sequence, file);
      return file;
    });
  }

  /** Writes one slice of the next spare. Answers whether there is more to do. @throws as `create` does */
  prepareSpare(): boolean {
    if (this.hasSpare) return false;
    this.#guard(() => this.#prepare(this.#fileBytes));
    return !this.hasSpare;
  }

  /** Gives a file up: nothing in it is needed by any replay. */
  drop(sequence: number): void {
    const file = this.file(sequence);
    const reusable = file.sizeBytes() === this.#fileBytes && this.#spares.length < SPARES_MAX;
    this.#open.delete(sequence);
    file[Symbol.dispose]();
    if (reusable) this.#keepSpare(nameOf(sequence));
    else this.#disk.remove(this.#path(nameOf(sequence)));
  }

  [Symbol.dispose](): void {
    this.#preparing?.file[Symbol.dispose]();
    for (const file of this.#open.values()) file[Symbol.dispose]();
    this.#open.clear();
  }

  #prepare(sizeBytes: number): void {
    this.#preparing ??= { file: this.#disk.open(this.#path(UNREADY), { create: true }), written: 0 };
    const { file, written } = this.#preparing;
    const count = Math.min(SLICE_BYTES, sizeBytes - written);
    if (count > 0) {
      file.write([ZEROES.subarray(0, count)], written);
      file.sync();
      this.#preparing.written += count;
    }
    if (this.#preparing.written < sizeBytes) return;
    file[Symbol.dispose]();
    this.#preparing = undefined;
    this.#keepSpare(UNREADY);
  }

  /** The file of that name is one from now on. */
  #keepSpare(name: string): void {
    let spare = 'spare';
    for (let count = 2; this.#spares.includes(spare); count++) spare = `spare-${count}`;
    this.#disk.rename(this.#path(name), this.#path(spare));
    this.#spares.push(spare);
  }

  #dropSpares(which: (name: string) => boolean): void {
    for (const name of [...this.#spares].filter(which)) {
      this.#disk.remove(this.#path(name));
      this.#spares.splice(this.#spares.indexOf(name), 1);
    }
  }

  /** Runs `work`; where the disk refuses it, the half-made file is removed, so that its space is free again. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isCoded(error)) throw error;
      this.#preparing?.file[Symbol.dispose]();
      this.#preparing = undefined;
      this.#remove(UNREADY);
      throw diskError(error, this.#directory);
    }
  }

  #sizeOf(name: string): number {
    using file = this.#disk.open(this.#path(name));
    return file.sizeBytes();
  }

  #remove(name: string): void {
    if (this.#disk.exists(this.#path(name))) this.#disk.remove(this.#path(name));
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

/** The system's error as one of ours: a full disk heals, anything else does not. */
export function diskError(error: unknown, path: string): CodedError {
  if (isCoded(error)) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return storageErrors.STORAGE_DISK_FULL([path], { cause: error });
  const why = error instanceof Error ? error.message : String(error);
  return storageErrors.STORAGE_DISK_FAILED([path, why], { cause: error });
}

function nameOf(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0') + SUFFIX;
}

function sequenceOf(name: string): number | undefined {
  const match = new RegExp(`^(\\d{${SEQUENCE_DIGITS}})\\${SUFFIX}$`).exec(name);
  return match ? Number(match[1]) : undefined;
}
