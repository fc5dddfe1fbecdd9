/**
 * A place that is held: the record is renewed by compare-and-set, and the holder knows how sure of it it may be.
 *
 * - `held`: nobody else can have called this holder gone yet. The last renewal was asked for less than three quarters of
 *   `goneAfterMs` ago; others count from when they saw it, which is later, and to the full. The quarter between is for
 *   clocks of different rates and for the way from asking `standing` to acting on it.
 * - `doubtful`: not renewed in time. Somebody may have taken over, or the registry is away for all alike. It can come
 *   back to `held`, if the record is still ours.
 * - `lost`: somebody else has the record. Never ours again.
 *
 * None of this is what keeps data safe: a process may stand still between asking and acting. Who takes over a volume
 * raises its epoch, and the storage nodes refuse whoever has an older one. Standing says when to stop answering from
 * memory, and saves two heads from fencing each other in turn.
 */
import { assert, type Clock, isCoded } from '@rokka/kernel';
import type { Registry } from './registry.ts';

export type Standing = 'held' | 'doubtful' | 'lost';

/** What stands in the registry. */
export interface HolderRecord {
  /** '' where the place was given back. */
  readonly holder: string;
  /** Counts changes of the holder. */
  readonly term: number;
  /** Counts renewals within a term. */
  readonly beat: number;
}

export interface TenureOptions {
  registry: Registry;
  clock: Clock;
  key: string;
  beatMs: number;
  goneAfterMs: number;
  /** Told of each change, `lost` at last. */
  onStanding: (standing: Standing) => void;
}

export class Tenure implements AsyncDisposable {
  readonly term: number;
  readonly #options: TenureOptions;
  readonly #stop = new AbortController();
  readonly #renewing: Promise<void>;
  #record: HolderRecord;
  #revision: number;
  #sureUntilMs = 0;
  #told: Standing = 'held';
  #cancelDoubt: () => void = () => {};

  /** `askedMs` is when the write that took the place was asked for. */
  constructor(options: TenureOptions, taken: { record: HolderRecord; revision: number; askedMs: number }) {
    this.#options = options;
    this.#record = taken.record;
    this.#revision = taken.revision;
    this.term = taken.record.term;
    this.#renewed(taken.askedMs);
    this.#renewing = this.#renewForEver();
  }

  get standing(): Standing {
    if (this.#told === 'lost') return 'lost';
    return this.#options.clock.nowMs() < this.#sureUntilMs ? 'held' : 'doubtful';
  }

  /** Stops renewing and gives the place back, if the registry can be reached; if not, others wait it out. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('given back'));
    await this.#renewing;
    this.#cancelDoubt();
    if (this.#told === 'lost') return;
    this.#told = 'lost';
    const vacant: HolderRecord = { ...this.#record, holder: '' };
    await this.#options.registry.put(this.#options.key, vacant, this.#revision).catch(ignoreCoded);
  }

  async #renewForEver(): Promise<void> {
    const { clock, beatMs } = this.#options;
    const { signal } = this.#stop;
    for (;;) {
      await clock.sleep(beatMs, signal).catch(() => {});
      if (signal.aborted || this.#told === 'lost') return;
      await this.#renew();
    }
  }

  /** What fails in any way is followed by the next beat; only somebody else's record ends it. */
  async #renew(): Promise<void> {
    if (await this.#beat()) return;
    // After a beat of unknown outcome our record may be at a revision that we were not told.
    if (await this.#findOwn()) await this.#beat();
  }

  async #beat(): Promise<boolean> {
    const { registry, clock, key } = this.#options;
    const askedMs = clock.nowMs();
    const record = { ...this.#record, beat: this.#record.beat + 1 };
    try {
      this.#revision = await registry.put(key, record, this.#revision);
      this.#record = record;
      this.#renewed(askedMs);
      return true;
    } catch (error) {
      ignoreCoded(error);
      return false;
    }
  }

  async #findOwn(): Promise<boolean> {
    const { registry, key } = this.#options;
    try {
      const found = await registry.get<HolderRecord>(key);
      if (found?.value.holder !== this.#record.holder || found.value.term !== this.term) {
        this.#tell('lost');
        return false;
      }
      this.#record = found.value;
      this.#revision = found.revision;
      return true;
    } catch (error) {
      ignoreCoded(error);
      return false;
    }
  }

  #renewed(askedMs: number): void {
    const { clock, goneAfterMs } = this.#options;
    this.#sureUntilMs = askedMs + goneAfterMs * 0.75;
    this.#cancelDoubt();
    const leftMs = this.#sureUntilMs - clock.nowMs();
    this.#cancelDoubt = clock.after(Math.max(leftMs, 0), () => this.#tell('doubtful'));
    if (leftMs > 0) this.#tell('held');
  }

  #tell(standing: Standing): void {
    if (standing === this.#told) return;
    assert(this.#told !== 'lost', 'what is lost stays lost');
    this.#told = standing;
    if (standing === 'lost') this.#cancelDoubt();
    this.#options.onStanding(standing);
  }
}

function ignoreCoded(error: unknown): void {
  if (!isCoded(error)) throw error;
}
