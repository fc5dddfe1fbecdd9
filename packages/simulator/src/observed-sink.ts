/** A volume as its clients use it, with everything that goes in and comes out reported. */
import { asLsn, type Epoch, type Lsn, type PageNumber } from '@rokka/kernel';
import type { AsyncRecordSink, Ticket, Volume } from '@rokka/volume';
import type { SimEvent } from './events.ts';
import { seenRecords } from './seen-records.ts';

export class ObservedSink implements AsyncRecordSink {
  readonly #volume: Volume;
  readonly #writer: string;
  readonly #emit: (event: SimEvent) => void;
  readonly epoch: Epoch;

  constructor(volume: Volume, options: { writer: string; epoch: Epoch; emit: (event: SimEvent) => void }) {
    this.#volume = volume;
    this.#writer = options.writer;
    this.epoch = options.epoch;
    this.#emit = options.emit;
  }

  get mappedPages(): number {
    return this.#volume.mappedPages;
  }

  get pagesMax(): number {
    return this.#volume.pagesMax;
  }

  get applied(): Ticket {
    return this.#volume.applied;
  }

  get durable(): Ticket {
    return this.#volume.durable;
  }

  hasRoom(bytes: number, records: number): boolean {
    return this.#volume.hasRoom(bytes, records);
  }

  append(mtr: Uint8Array, recordCount: number): Ticket {
    const ticket = this.#volume.append(mtr, recordCount);
    const vdl = asLsn(this.#volume.durable);
    // The volume has sealed the records in place.
    this.#emit({ kind: 'appended', writer: this.#writer, vdl, records: seenRecords(mtr.slice()) });
    return ticket;
  }

  readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[] {
    return this.#volume.readMany(pages);
  }

  grow(mapPages: number): Promise<void> {
    return this.#volume.grow(mapPages);
  }

  whenRoom(bytes: number, records: number): Promise<void> {
    return this.#volume.whenRoom(bytes, records);
  }

  async whenDurable(ticket: Ticket): Promise<void> {
    await this.#volume.whenDurable(ticket);
    const lsn: Lsn = asLsn(ticket);
    this.#emit({ kind: 'acked', writer: this.#writer, epoch: this.epoch, lsn });
  }
}
