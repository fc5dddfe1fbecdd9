/** A segment for tests: the chain under test, its records in a map, epochs; no disk, no network. */
import { asEpoch, asLsn, must, type Epoch, type Lsn } from '@rokka/kernel';
import type { SegmentAnswer } from '../recovery-decision.ts';
import { SegmentChain } from '../segment-chain.ts';
import type { TruncationRange } from '../truncation.ts';

export interface ModelRecord {
  readonly lsn: Lsn;
  readonly previousVolumeLsn: Lsn;
  readonly previousPgLsn: Lsn;
  readonly pg: number;
  readonly cpl: boolean;
}

export class ModelSegment {
  readonly chain = new SegmentChain({ base: asLsn(0), islandsMax: 20 });
  readonly records = new Map<Lsn, ModelRecord>();
  epoch: Epoch = asEpoch(1);
  vdl: Lsn = asLsn(0);
  damaged = false;

  /** Whichever way a record comes, it passes here. */
  ingest(record: ModelRecord): void {
    const acceptance = this.chain.accept(record.lsn, record.previousPgLsn);
    if (acceptance === 'appended' || acceptance === 'held') this.records.set(record.lsn, record);
  }

  /** The writer's message; the SCL to acknowledge, or undefined where the epoch is refused. */
  ship(message: { epoch: Epoch; vdl: Lsn; record: ModelRecord }): Lsn | undefined {
    if (message.epoch !== this.epoch) return undefined;
    this.ingest(message.record);
    if (message.vdl > this.vdl) this.vdl = message.vdl;
    this.chain.settle(message.vdl);
    return this.chain.scl;
  }

  /** Fence and read in one step; undefined where a newer recovery was here. */
  fence(epoch: Epoch, ranges: readonly TruncationRange[]): SegmentAnswer | undefined {
    if (epoch < this.epoch) return undefined;
    this.epoch = epoch;
    this.chain.truncate(ranges);
    for (const { lsn, previousPgLsn } of this.records.values())
      if (this.chain.annuls(lsn, previousPgLsn)) this.records.delete(lsn);
    return this.state();
  }

  state(): SegmentAnswer {
    const { volumeEpoch, ranges, damaged } = {
      volumeEpoch: this.epoch,
      ranges: this.chain.truncation.known,
      damaged: this.damaged,
    };
    // A damaged store may say anything; the worst that it can say is that it has nothing.
    if (damaged) return { volumeEpoch, ranges: [], damaged, scl: asLsn(0), vdl: asLsn(0), tail: [] };
    return {
      volumeEpoch,
      ranges,
      damaged,
      scl: this.chain.scl,
      vdl: this.vdl,
      tail: this.chain.above(this.vdl).map((lsn) => must(this.records.get(lsn))),
    };
  }

  /** The records up to the SCL, in order. */
  held(): ModelRecord[] {
    return [...this.records.values()]
      .filter(({ lsn }) => lsn <= this.chain.scl)
      .sort((a, b) => a.lsn - b.lsn);
  }
}
