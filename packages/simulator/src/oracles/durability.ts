/**
 * I1 durability, I3 prefix, I7 fence: what a client was told to last is part of every later recovery, whenever it was
 * told; a recovery stands at the end of a mini-transaction; a replaced writer gets no further than its successor knows.
 *
 * One rule covers both directions of time: a promise of any writer must lie on the branch of every recovery with a higher
 * epoch, those that had decided when it was made and those that decide later.
 */
import type { Epoch, Lsn } from '@rokka/kernel';
import { demand } from '../broken-invariant.ts';
import type { Listeners } from '../event-log.ts';
import type { History } from './history.ts';

export class DurabilityOracle {
  readonly #history: History;
  /** The highest promise of each writer, by epoch: a lower one is on its branch below it. */
  readonly #promised = new Map<Epoch, Lsn>();
  #rangesSeen = 0;

  constructor(history: History) {
    this.#history = history;
  }

  readonly listeners: Listeners = {
    acked: ({ epoch, lsn }) => this.#promise(epoch, lsn),
    announced: ({ epoch, vdl }) => this.#promise(epoch, vdl),
    registry: () => this.#decided(),
    opened: ({ epoch, vdl, tookOver }) => this.#opened(epoch, vdl, tookOver),
  };

  #promise(epoch: Epoch, lsn: Lsn): void {
    if (lsn <= (this.#promised.get(epoch) ?? 0)) return;
    this.#promised.set(epoch, lsn);
    demand(
      this.#history.branch(epoch).has(lsn),
      'I1',
      () => `epoch ${epoch} promised ${lsn}, which is not in its log`,
    );
    for (const { volumeEpoch } of this.#history.ranges)
      if (volumeEpoch > epoch) this.#demandKept(lsn, { epoch, later: volumeEpoch, invariant: 'I7' });
  }

  #decided(): void {
    for (const { volumeEpoch, after } of this.#history.ranges.slice(this.#rangesSeen)) {
      this.#rangesSeen++;
      demand(
        this.#history.isEnd(after),
        'I3',
        () => `epoch ${volumeEpoch} recovered to ${after}, no end of a mini-transaction`,
      );
      for (const [epoch, lsn] of this.#promised)
        if (epoch < volumeEpoch) this.#demandKept(lsn, { epoch, later: volumeEpoch, invariant: 'I1' });
    }
  }

  #opened(epoch: Epoch, vdl: Lsn, tookOver: boolean): void {
    const branch = this.#history.branch(epoch);
    if (tookOver)
      return demand(
        vdl === branch.last,
        'I1',
        () => `epoch ${epoch} opened at ${vdl}, and had appended up to ${branch.last}`,
      );
    demand(
      vdl === branch.vdl,
      'I1',
      () => `epoch ${epoch} opened at ${vdl}, its range begins after ${branch.vdl}`,
    );
  }

  #demandKept(lsn: Lsn, of: { epoch: Epoch; later: Epoch; invariant: 'I1' | 'I7' }): void {
    const { epoch, later, invariant } = of;
    const branch = this.#history.branch(later);
    demand(branch.has(lsn), invariant, () => {
      return `${lsn} was promised at epoch ${epoch}; the recovery of epoch ${later} kept ${branch.vdl} and lacks it`;
    });
  }
}
