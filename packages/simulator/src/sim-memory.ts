/**
 * What outlives a writer's process: the files in memory that its shim holds open. Whoever opens the volume by himself has some of his own;
 * whoever takes over has those of the one before. They keep each byte until the machine is gone.
 */
import { assert, type Epoch, type Lsn } from '@rokka/kernel';
import { type RamFile, RamLog } from '@rokka/volume';
import type { SimEvent } from './events.ts';
import { seenRecords } from './seen-records.ts';

export class SimMemory {
  /** That of the first writer who had it. */
  readonly name: string;
  readonly files: readonly [RamFile, RamFile] = [new SimRamFile(), new SimRamFile()];

  constructor(name: string) {
    this.name = name;
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
  #isTakingOver = false;

  constructor(
    memory: SimMemory,
    options: { writer: string; halfBytesLeast: number; emit: (event: SimEvent) => void },
  ) {
    super(memory.files, options);
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
    super.keep(mtr, of);
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
