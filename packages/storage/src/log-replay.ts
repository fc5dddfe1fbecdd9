/**
 * Reading the log back after a start.
 *
 * The next batch is written only after the one before it was synced, so a crash can tear the very last batch and no other.
 * Hence: a place where no sound batch stands is the end of the log if no sound batch lies behind it, and damage if one
 * does. What was in a damaged batch is unknown; it is reported and reading goes on behind it.
 *
 * Limit of what one copy can tell: a bit that rots in the very last batch looks like a torn write.
 */
import { upgradedBody } from './format-upgrade.ts';
import { alignUp, BATCH_ALIGN_BYTES, batchAt, ENTRY, visitEntries, type Batch } from './log-format.ts';
import type { LogFiles } from './log-files.ts';

export interface LogReplay {
  /** The newest manifest that can be read, before anything else: what lies below its floors need not be there. */
  newestManifest(body: Uint8Array, file: number): void;
  /** An entry, oldest first; `body` is a view that is valid during the call. `offset` is its place in the file. Manifests come here too. */
  entry(type: number, body: Uint8Array, place: { file: number; offset: number }): void;
  /** Acknowledged bytes from `offset` on cannot be read. */
  damaged(file: number, offset: number): void;
}

/** Where the log goes on. */
export interface LogEnd {
  file: number;
  offset: number;
  nextSequence: number;
  /** The last batch. It may be in the page cache only, so whoever goes on writes it once more. */
  last: { file: number; offset: number; length: number } | undefined;
  /** Where the batches of each file end. */
  ends: Map<number, number>;
}

/** Replays what `files` hold. Answers undefined where they hold no batch at all. */
export function replayLog(files: LogFiles, identity: Uint8Array, replay: LogReplay): LogEnd | undefined {
  const scan = new Scan(files, identity);
  const newest = scan.newestManifest();
  if (!newest) return undefined;
  replay.newestManifest(newest.body, newest.file);
  return scan.run(replay);
}

class Scan {
  readonly #files: LogFiles;
  readonly #identity: Uint8Array;
  readonly #sequences: number[];
  #nextSequence: number | undefined;
  /** Where reading first failed since the last sound batch. */
  #gap: { file: number; offset: number } | undefined;
  #end: LogEnd | undefined;
  readonly #ends = new Map<number, number>();
  /** One file after the other; nobody keeps a view of what lies in it. */
  #memory = new Uint8Array(0);

  constructor(files: LogFiles, identity: Uint8Array) {
    this.#files = files;
    this.#identity = identity;
    this.#sequences = files.sequences;
  }

  newestManifest(): { body: Uint8Array; file: number } | undefined {
    for (const file of [...this.#sequences].reverse()) {
      const bytes = this.#read(file);
      const batch = batchAt(bytes, 0, { identity: this.#identity, file });
      if (!batch) continue;
      let body: Uint8Array | undefined;
      visitEntries(bytes.subarray(0, batch.length), (type, content) => {
        if (type === ENTRY.MANIFEST) body ??= upgradedBody(batch.version, type, content);
      });
      if (body) return { body, file };
    }
    return undefined;
  }

  run(replay: LogReplay): LogEnd | undefined {
    for (const file of this.#sequences) this.#scanFile(file, replay);
    return this.#end;
  }

  #scanFile(file: number, replay: LogReplay): void {
    const bytes = this.#read(file);
    for (let at = 0; at < bytes.length;) {
      const batch = batchAt(bytes, at, { identity: this.#identity, file });
      if (!batch) {
        this.#gap ??= { file, offset: at };
        at += BATCH_ALIGN_BYTES;
        continue;
      }
      this.#take({ bytes, batch, file, at, replay });
      at += alignUp(batch.length);
    }
  }

  #take(found: { bytes: Uint8Array; batch: Batch; file: number; at: number; replay: LogReplay }): void {
    const { bytes, batch, file, at, replay } = found;
    // What lies before the oldest file was dropped on purpose, so the first batch seen may have any sequence number.
    const expected = this.#nextSequence ?? (this.#gap ? -1 : batch.sequence);
    if (batch.sequence < expected) return;
    if (batch.sequence !== expected) {
      const gap = this.#gap ?? { file, offset: at };
      replay.damaged(gap.file, gap.offset);
    }
    this.#gap = undefined;
    this.#nextSequence = batch.sequence + 1;
    this.#ends.set(file, at + alignUp(batch.length));
    this.#end = {
      file,
      offset: at + alignUp(batch.length),
      nextSequence: batch.sequence + 1,
      last: { file, offset: at, length: batch.length },
      ends: this.#ends,
    };
    visitEntries(bytes.subarray(at, at + batch.length), (type, body, bodyAt) =>
      replay.entry(type, upgradedBody(batch.version, type, body), { file, offset: at + bodyAt }),
    );
  }

  #read(sequence: number): Uint8Array {
    const file = this.#files.file(sequence);
    const size = file.sizeBytes();
    if (size > this.#memory.length) this.#memory = new Uint8Array(size);
    const bytes = this.#memory.subarray(0, size);
    return bytes.subarray(0, file.read(bytes, 0));
  }
}
