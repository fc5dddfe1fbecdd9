/**
 * The records of one protection group that are not durable yet: those waiting for the next ship, and those shipped but
 * not yet at a write quorum. The writer must be able to send the latter again: if three nodes lose power with a record
 * in their sockets, nobody else has it. Records at or below PGCL are the peers' business (gossip), so memory is bounded
 * by what the allocator lets be outstanding.
 */
import { assert, type Lsn } from '@rokka/kernel';
import type { SealedRun } from './sealer.ts';

export class Outbox {
  #runs: SealedRun[] = [];
  /** Index in #runs of the first run that was never shipped. */
  #unshipped = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get hasUnshipped(): boolean {
    return this.#unshipped < this.#runs.length;
  }

  add(run: SealedRun): void {
    const last = this.#runs.at(-1);
    assert(!last || last.lastLsn < run.firstLsn, 'runs go out in LSN order');
    this.#runs.push(run);
    this.#bytes += run.bytes.length;
  }

  /** What the next ship takes: up to `limitBytes` of records, at least one run. Marks it as shipped. */
  takeUnshipped(limitBytes: number): SealedRun[] {
    const runs: SealedRun[] = [];
    let bytes = 0;
    while (this.#unshipped < this.#runs.length) {
      const run = this.#runs[this.#unshipped];
      if (runs.length > 0 && bytes + run.bytes.length > limitBytes) break;
      runs.push(run);
      bytes += run.bytes.length;
      this.#unshipped++;
    }
    return runs;
  }

  /** Everything shipped above `scl`, in pieces of about `limitBytes`: for a member that came back or was behind. */
  *shippedAbove(scl: Lsn, limitBytes: number): Generator<SealedRun[]> {
    let runs: SealedRun[] = [];
    let bytes = 0;
    for (const run of this.#runs.slice(0, this.#unshipped)) {
      if (run.lastLsn <= scl) continue;
      if (runs.length > 0 && bytes + run.bytes.length > limitBytes) {
        yield runs;
        runs = [];
        bytes = 0;
      }
      runs.push(run);
      bytes += run.bytes.length;
    }
    if (runs.length > 0) yield runs;
  }

  /** The group is durable up to `pgcl`: forget what it covers. @returns the bytes freed */
  forget(pgcl: Lsn): number {
    let count = 0;
    let freed = 0;
    while (count < this.#unshipped && this.#runs[count].lastLsn <= pgcl)
      freed += this.#runs[count++].bytes.length;
    if (count === 0) return 0;
    this.#runs.splice(0, count);
    this.#unshipped -= count;
    this.#bytes -= freed;
    return freed;
  }
}
