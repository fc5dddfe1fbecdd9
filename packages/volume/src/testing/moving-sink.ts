/** A FakeSink that moves by itself, a random step in each turn of the event loop, unless it is held. */
import type { PageNumber, SeededRandom } from '@rokka/kernel';
import type { Ticket } from '../page-store.ts';
import { FakeSink } from './fake-sink.ts';

export class MovingSink extends FakeSink {
  readonly #random: SeededRandom;
  readonly #stepMax: number;
  #held = false;
  #scheduled = false;

  constructor(
    random: SeededRandom,
    options: { mappedPages?: number; outstandingMax?: number; stepMax?: number } = {},
  ) {
    super(options);
    this.#random = random;
    this.#stepMax = options.stepMax ?? 8;
  }

  /** While held nothing becomes durable. Reads go on. */
  set held(held: boolean) {
    this.#held = held;
    this.#schedule();
  }

  override append(mtr: Uint8Array, recordCount: number): Ticket {
    this.#schedule();
    return super.append(mtr, recordCount);
  }

  override read(page: PageNumber): Promise<Uint8Array | undefined> {
    this.#schedule();
    return super.read(page);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#held) this.advance(this.#random.below(this.#stepMax + 1));
      if (this.reads.length > 0) this.land(this.#random.below(this.reads.length));
      if (this.reads.length > 0 || (!this.#held && this.durable < this.applied)) this.#schedule();
    });
  }
}
