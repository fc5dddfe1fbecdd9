/**
 * A database and the cluster's archive: its log goes there while it runs, and what it was restored from comes from there until
 * all of it is on the storage nodes.
 */
import { adoptAll, Archiver, ArchiveReader, type ObjectStore } from '@rokka/archive';
import { asPageNumber, type Clock, describeError, isCoded, type Lsn } from '@rokka/kernel';
import type { Volume, VolumeBase } from '@rokka/volume';

/** What was durable when the database was told to stop has so long to get there; the rest is archived at the next start. */
const LAST_FLUSH_MS = 5_000;
const FIRST_PAGE = asPageNumber(0);
const ADOPT_AGAIN_MS = 30_000;

export interface ArchivingOptions {
  /** Of the whole cluster. */
  store: ObjectStore;
  /** Whether the log goes to the archive. */
  archives: boolean;
  /** Whether what it was restored from is brought to the storage nodes by itself; else each page when it is written. */
  adopts: boolean;
  clock: Clock;
  /** Everything that the volume has is in its archive, and nothing more will come. */
  onEnd(lsn: Lsn): Promise<void>;
  log(level: 'info' | 'warn', text: string): void;
}

export class Archiving implements AsyncDisposable {
  readonly #options: ArchivingOptions;
  readonly #store: ObjectStore;
  readonly #ending = new AbortController();
  #archiver: Archiver | undefined;
  #base: ArchiveReader | undefined;
  #adopting: Promise<void> | undefined;
  #adoptedPages = 0;

  constructor(options: ArchivingOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** For `Volume.open`. @throws ARCHIVE_EMPTY, ARCHIVE_NOT_YET, ARCHIVE_DAMAGED … */
  async openBase(base: VolumeBase): Promise<ArchiveReader> {
    this.#base = await ArchiveReader.open(this.#store, base);
    // The filesystem begins with it, and what has to be loaded for one page serves all others.
    this.#base.page(FIRST_PAGE).catch(() => {});
    return this.#base;
  }

  /** The volume serves. */
  begin(volume: Volume): void {
    const { archives, adopts, clock, log } = this.#options;
    if (archives) {
      const { tap, base } = volume;
      this.#archiver = new Archiver({
        volume: tap,
        ...(base && { base }),
        store: this.#store,
        clock,
        log: (text) => log('warn', text),
      });
      this.#archiver.start();
    }
    if (adopts && this.#base) this.#adopting = this.#adopt(volume, this.#base);
  }

  /** For `status`. */
  describe(): { archived?: number; failure?: string; adoptedPages?: number } {
    const { archived, failure } = this.#archiver ?? {};
    return {
      ...(archived !== undefined && { archived }),
      ...(failure !== undefined && { failure }),
      ...(this.#adopting && { adoptedPages: this.#adoptedPages }),
    };
  }

  /**
   * Resolves when everything up to `lsn`, or what is durable now, is in the archive, with the point that gives it: that one, or the
   * first one from there on that can be given.
   * @throws the signal's reason, ARCHIVE_STORE_FAILED
   */
  async flush(signal: AbortSignal, lsn?: Lsn): Promise<Lsn> {
    return (await this.#archiver?.flush(signal, lsn)) ?? (0 as Lsn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#adopting;
    if (!this.#archiver) return;
    const patience = new AbortController();
    const cancel = this.#options.clock.after(LAST_FLUSH_MS, () => patience.abort());
    const last = await this.#archiver.flush(patience.signal).catch(() => undefined);
    cancel();
    await this.#archiver[Symbol.asyncDispose]();
    if (last !== undefined) await this.#options.onEnd(last);
  }

  /** Until it is done; what cannot be read now is tried again. */
  async #adopt(volume: Volume, base: ArchiveReader): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#ending;
    const onProgress = (pages: number) => (this.#adoptedPages = pages);
    while (!signal.aborted) {
      try {
        await adoptAll({ volume, pages: base.pages(), clock, signal, onProgress });
        log('info', `all ${this.#adoptedPages} pages of what it was restored from are on the storage nodes`);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!isCoded(error)) throw error;
        log('warn', `bringing in what it was restored from has stopped for now: ${describeError(error)}`);
        await clock.sleep(ADOPT_AGAIN_MS, signal).catch(() => {});
      }
    }
  }
}
