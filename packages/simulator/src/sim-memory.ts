/**
 * What outlives a writer's process: the files in memory that its shim holds open. Whoever opens the volume by himself has some of his own;
 * whoever takes over has those of the one before. They keep each byte until the machine is gone, and take none from a process that is:
 * it may die in the middle of what it writes.
 */
import { assert, type Epoch, type Lsn } from '@rokka/kernel';
import { type RamFile, RamLog } from '@rokka/volume';
import type { SimEvent } from './events.ts';
import { seenRecords } from './seen-records.ts';

export class SimMemory {
  /** That of the first writer who had it. */
  readonly name: string;
  readonly files: readonly [SimRamFile, SimRamFile] = [new SimRamFile(), new SimRamFile()];

  constructor(name: string) {
    this.name = name;
  }
}

/** Where in the next entry that is long enough its writer dies: so many bytes of it are there. */
export interface TornEntry {
  readonly bytes: number;
  run(): void;
}

/** What a process holds of a file in memory. */
class HeldFile implements RamFile {
  readonly #file: SimRamFile;
  readonly #isAlive: () => boolean;
  /** For the next write. */
  torn: TornEntry | undefined;

  constructor(file: SimRamFile, isAlive: () => boolean) {
    this.#file = file;
    this.#isAlive = isAlive;
  }

  write(parts: readonly Uint8Array[], at: number): boolean {
    const { torn } = this;
    if (!this.#isAlive()) return true;
    if (torn && this.#file.writeTorn(parts, { at, bytes: torn.bytes })) torn.run();
    else this.#file.write(parts, at);
    return true;
  }

  read(into: Uint8Array, at: number): number {
    return this.#file.read(into, at);
  }

  truncate(sizeBytes: number): void {
    if (this.#isAlive()) this.#file.truncate(sizeBytes);
  }
}

class SimRamFile implements RamFile {
  #bytes = new Uint8Array(4096);
  #length = 0;

  write(parts: readonly Uint8Array[], at: number): boolean {
    let end = at;
    for (const part of parts) {
      this.#reserve(end + part.length);
      this.#bytes.set(part, end);
      end += part.length;
    }
    this.#length = Math.max(this.#length, end);
    return true;
  }

  /** Only the first `bytes`. Answers false, and writes nothing, where nothing would be missing then. */
  writeTorn(parts: readonly Uint8Array[], { at, bytes }: { at: number; bytes: number }): boolean {
    const whole = Buffer.concat(parts);
    const isThere =
      Buffer.compare(whole.subarray(bytes), this.#bytes.subarray(at + bytes, at + whole.length)) === 0;
    return bytes < whole.length && !isThere && this.write([whole.subarray(0, bytes)], at);
  }

  read(into: Uint8Array, at: number): number {
    const found = this.#bytes.subarray(at, Math.min(this.#length, at + into.length));
    into.set(found);
    return found.length;
  }

  truncate(sizeBytes: number): void {
    this.#bytes.fill(0, Math.min(sizeBytes, this.#length), this.#length);
    this.#length = sizeBytes;
    this.#reserve(sizeBytes);
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(sizeBytes, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** A writer's log in memory, with all that becomes of it reported, and what is appended before there is an ObservedSink. */
export class ObservedRamLog extends RamLog {
  readonly #writer: string;
  readonly #emit: (event: SimEvent) => void;
  readonly #memory: string;
  readonly #files: readonly HeldFile[];
  #isTakingOver = false;
  /** Only what is kept is torn: no header of the log is longer than what is written at once. */
  torn: TornEntry | undefined;

  constructor(
    memory: SimMemory,
    options: {
      writer: string;
      halfBytesLeast: number;
      isAlive: () => boolean;
      emit: (event: SimEvent) => void;
    },
  ) {
    const [one, other] = memory.files;
    const files = [new HeldFile(one, options.isAlive), new HeldFile(other, options.isAlive)] as const;
    super(files, options);
    this.#files = files;
    this.#memory = memory.name;
    this.#writer = options.writer;
    this.#emit = options.emit;
  }

  override begin(volumeEpoch: Epoch): void {
    super.begin(volumeEpoch);
    this.#tell('begun', { epoch: volumeEpoch });
  }

  override claim(of: { epochBefore: Epoch; volumeEpoch: Epoch }): void {
    this.#tell('asked', { epoch: of.epochBefore });
    super.claim(of);
    this.#tell('claimed', { epoch: of.volumeEpoch });
  }

  override takeOver(of: { volumeEpoch: Epoch; vdl: Lsn }) {
    const open = super.takeOver(of);
    this.#isTakingOver = true;
    this.#tell('taking over', { epoch: of.volumeEpoch, vdl: of.vdl });
    return open;
  }

  override tookOver(): void {
    assert(this.#isTakingOver, 'took over without taking over');
    this.#isTakingOver = false;
    super.tookOver();
    this.#tell('took over', {});
  }

  override end(): void {
    super.end();
    this.#tell('ended', {});
  }

  override keep(mtr: Uint8Array, of: { recordCount: number; lastLsn: Lsn; durable: Lsn }): void {
    for (const file of this.#files) file.torn = this.torn;
    super.keep(mtr, of);
    for (const file of this.#files) file.torn = undefined;
    if (!this.#isTakingOver) return;
    const records = seenRecords(mtr.slice());
    this.#emit({ kind: 'appended', writer: this.#writer, vdl: of.durable, records });
  }

  #tell(what: MemoryFate, of: { epoch?: Epoch; vdl?: Lsn }): void {
    this.#emit({ kind: 'memory', writer: this.#writer, memory: this.#memory, what, ...of });
  }
}

/** What becomes of a log in memory. `asked`: somebody wants it who found this epoch in force. */
export type MemoryFate = 'begun' | 'asked' | 'claimed' | 'taking over' | 'took over' | 'ended';
