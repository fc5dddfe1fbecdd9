/**
 * A head's part in a snapshot of several volumes at one moment. Whoever makes it holds all of them, then asks each for its point,
 * then lets all go: what a program did on one volume after it had seen its answer from another is then in no snapshot that
 * lacks what came before (databases/snapshot-set.ts asks).
 *
 * A hold ends by itself after HOLD_MS, whoever asked for it may have died; then the point that was given counts for nothing.
 */
import { type Clock, type Lsn } from '@rokka/kernel';
import { rokkaErrors } from '../errors.ts';
import type { Gate } from './engine.ts';

/** Programs stand still for so long at most; Windows' snapshots allow the same. */
export const HOLD_MS = 10_000;

export interface ConsistentCutOptions {
  clock: Clock;
  gate: Gate;
  /** Everything that was done to the volume so far. */
  point(): Lsn;
  /** Resolves when the archive has everything up to there, with the first point from there on that it can give. */
  archive(lsn: Lsn): Promise<Lsn>;
}

export class ConsistentCut implements Disposable {
  readonly #options: ConsistentCutOptions;
  #letGo: (() => void) | undefined;
  #ended = false;
  #point: Lsn | undefined;

  constructor(options: ConsistentCutOptions) {
    this.#options = options;
  }

  /** What the head can be asked for. */
  get duties() {
    return {
      hold: async () => this.#hold(),
      cut: async () => this.#cut(),
      release: async () => this.#release(),
      'archive-cut': () => this.#archive(),
    };
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#letGo?.();
  }

  /** @throws ROKKA_HOLD_OVER where the head ends: unmounting must not wait */
  #hold(): object {
    const { clock, gate } = this.#options;
    if (this.#ended) throw rokkaErrors.ROKKA_HOLD_OVER([0]);
    this.#letGo?.();
    this.#point = undefined;
    gate.hold();
    const cancel = clock.after(HOLD_MS, () => this.#letGo?.());
    this.#letGo = () => {
      cancel();
      this.#letGo = undefined;
      gate.release();
    };
    return {};
  }

  /** @throws ROKKA_HOLD_OVER */
  #cut(): { lsn: Lsn } {
    if (!this.#letGo) throw rokkaErrors.ROKKA_HOLD_OVER([HOLD_MS]);
    this.#point = this.#options.point();
    return { lsn: this.#point };
  }

  /** @throws ROKKA_HOLD_OVER where it has let go by itself: others may have gone on before all points were taken */
  #release(): object {
    const held = this.#letGo;
    held?.();
    if (held) return {};
    this.#point = undefined;
    throw rokkaErrors.ROKKA_HOLD_OVER([HOLD_MS]);
  }

  /** @throws ROKKA_CUT_LOST, what the archive throws */
  async #archive(): Promise<{ lsn: Lsn }> {
    const point = this.#point;
    if (point === undefined) throw rokkaErrors.ROKKA_CUT_LOST(['none was taken']);
    const lsn = await this.#options.archive(point);
    if (lsn !== point)
      throw rokkaErrors.ROKKA_CUT_LOST([`the archive had to begin anew, and has no point before LSN ${lsn}`]);
    return { lsn };
  }
}
