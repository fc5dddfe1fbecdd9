/**
 * A whole volume in one object: writers that never learn that they were replaced, a network that delays, repeats, reorders
 * and loses, recoveries that are cut off at any step, and the oracle that watches all of them. Every choice comes from
 * one seed.
 */
import nodeAssert from 'node:assert/strict';
import { asEpoch, asLsn, asPgIndex, must, SeededRandom, type Epoch, type Lsn } from '@rokka/kernel';
import { satisfied, type Member } from '../expression.ts';
import { standardFormulas, type QuorumFormulas } from '../formulas.ts';
import { LsnAllocator } from '../lsn-allocator.ts';
import { ProgressTracker } from '../progress-tracker.ts';
import type { RecoveryDecision } from '../recovery-decision.ts';
import { Recovery, type VolumeStart } from '../recovery.ts';
import type { TruncationRange } from '../truncation.ts';
import { ModelSegment, type ModelRecord } from './model-segment.ts';

const MEMBERS: readonly Member[] = Array.from('ABCDEF');
/** Small, so that writers run into it. */
const ALLOCATION_LIMIT = 24;

interface Writer {
  readonly epoch: Epoch;
  readonly allocator: LsnAllocator;
  readonly tracker: ProgressTracker;
}

interface Message {
  readonly writer: Writer;
  readonly member: number;
  readonly vdl: Lsn;
  readonly record: ModelRecord;
}

interface Ack {
  readonly writer: Writer;
  readonly pg: number;
  readonly member: number;
  readonly epoch: Epoch;
  readonly scl: Lsn;
}

export class ModelVolume {
  readonly #random: SeededRandom;
  readonly #formulas: QuorumFormulas;
  readonly #segments: ModelSegment[][];
  #messages: Message[] = [];
  #acks: Ack[] = [];
  readonly #writers: Writer[] = [];
  #epoch: Epoch = asEpoch(1);
  #start: VolumeStart;
  /** What the volume is: the records that were not annulled, in volume order. */
  #history: ModelRecord[] = [];
  readonly #annulled = new Set<Lsn>();
  /** Range of the latest recovery that decided: no writer from before may ever get into it. */
  #decided: TruncationRange = { volumeEpoch: asEpoch(1), after: asLsn(0), through: asLsn(0) };
  /** The highest VDL that any writer has announced. */
  #promised: Lsn = asLsn(0);
  readonly #decisions = new WeakMap<Recovery, RecoveryDecision>();
  readonly counts = { records: 0, recoveries: 0, abandoned: 0, annulled: 0, blocked: 0, promised: 0 };

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const fullCount = this.#random.chance(0.5) ? 3 : 6;
    this.#formulas = standardFormulas(
      MEMBERS.map((member, index) => ({
        member,
        kind: fullCount === 6 || index % 2 === 0 ? 'full' : 'tail',
      })),
    );
    const groups = 1 + this.#random.below(3);
    this.#segments = Array.from({ length: groups }, () => MEMBERS.map(() => new ModelSegment()));
    const empty = this.#segments.map((_, pg) => ({ pg: asPgIndex(pg), lastLsn: asLsn(0), scls: new Map() }));
    this.#start = {
      volumeEpoch: this.#epoch,
      vdl: asLsn(0),
      nextLsn: asLsn(1),
      ranges: [],
      groups: empty,
    };
    this.#open();
  }

  /** One writer's life, then recovery, however many attempts it takes. */
  generation(): void {
    // Some networks hardly deliver, so that much is in flight when the writer goes.
    const delivery = this.#random.pick([0.3, 0.6, 0.9]);
    for (let step = 0; step < 60; step++) {
      if (this.#random.chance(0.35)) this.#write(must(this.#writers.at(-1)));
      if (this.#random.chance(0.05)) this.#fenceLate();
      this.#network(delivery);
    }
    while (!this.#recover());
    this.#open();
    this.#checkSurvivors();
  }

  #open(): void {
    const { vdl, nextLsn, groups } = this.#start;
    const tracked = groups.map((group) => ({ ...group, members: MEMBERS, write: this.#formulas.write }));
    this.#writers.push({
      epoch: this.#epoch,
      allocator: new LsnAllocator({ nextLsn, outstandingBytesMax: 1e9, allocationLimit: ALLOCATION_LIMIT }),
      tracker: new ProgressTracker({ vdl, nextLsn, groups: tracked }),
    });
  }

  #write(writer: Writer): void {
    const records = 1 + this.#random.below(4);
    if (!writer.allocator.hasRoom({ records, sizeBytes: records })) {
      this.counts.blocked++;
      return;
    }
    const first = writer.allocator.allocate({ records, sizeBytes: records });
    for (let lsn = first; lsn < first + records; lsn++) {
      const pg = this.#random.below(this.#segments.length);
      const record: ModelRecord = {
        lsn,
        pg,
        previousVolumeLsn: writer.tracker.lastLsn,
        previousPgLsn: writer.tracker.lastLsnOf(asPgIndex(pg)),
        cpl: lsn === first + records - 1,
      };
      writer.tracker.allocated(asPgIndex(pg), lsn, record.cpl);
      if (writer === this.#writers.at(-1)) this.#history.push(record);
      else this.#annulled.add(lsn);
      this.counts.records++;
      for (let member = 0; member < MEMBERS.length; member++)
        this.#messages.push({ writer, member, record, vdl: writer.tracker.vdl });
    }
  }

  /** Some messages and acks arrive, in any order; a few are lost, a few come again much later; peers gossip. */
  #network(delivery: number): void {
    for (let i = this.#random.below(12); i > 0 && this.#messages.length > 0; i--) {
      if (!this.#random.chance(delivery)) continue;
      const at = this.#random.below(Math.min(this.#messages.length, 60));
      const message = this.#messages[at];
      if (this.#random.chance(0.9)) this.#messages.splice(at, 1);
      if (this.#random.chance(0.05)) continue;
      const { writer, member, record } = message;
      const segment = this.#segments[record.pg][member];
      const scl = segment.ship({ epoch: writer.epoch, vdl: message.vdl, record });
      if (scl !== undefined) this.#acks.push({ writer, pg: record.pg, member, epoch: segment.epoch, scl });
    }
    for (let i = this.#random.below(10); i > 0 && this.#acks.length > 0; i--) {
      const [ack] = this.#acks.splice(this.#random.below(this.#acks.length), 1);
      this.#acknowledge(ack);
    }
    if (this.#random.chance(0.4)) this.#gossip();
  }

  #acknowledge({ writer, pg, member, epoch, scl }: Ack): void {
    if (epoch !== writer.epoch) return;
    if (!writer.tracker.acknowledged(asPgIndex(pg), member, scl)) return;
    const { vdl } = writer.tracker;
    writer.allocator.durable(vdl);
    // Before a recovery decides, the old writer may still succeed with acks that were on their way.
    if (writer.epoch < this.#decided.volumeEpoch)
      nodeAssert.ok(vdl <= this.#decided.after, `a replaced writer went on to ${vdl}`);
    if (vdl > this.#promised) this.#promised = vdl;
  }

  /** Any record of one member reaches another, whatever has become of it meanwhile. */
  #gossip(): void {
    const group = this.#random.pick(this.#segments);
    const [from, to] = [this.#random.pick(group), this.#random.pick(group)];
    if (from.epoch !== to.epoch || from.damaged) return;
    for (const record of from.records.values()) if (this.#random.chance(0.5)) to.ingest(record);
  }

  /** A member that the recovery did not reach hears of the new epoch. */
  #fenceLate(): void {
    const segment = this.#random.pick(this.#random.pick(this.#segments));
    segment.fence(this.#epoch, this.#start.ranges);
    segment.damaged = false;
  }

  /** One recovery attempt; false where it was cut off. */
  #recover(): boolean {
    this.#epoch = asEpoch(this.#epoch + 1);
    this.counts.recoveries++;
    const recovery = new Recovery({
      volumeEpoch: this.#epoch,
      allocationLimit: ALLOCATION_LIMIT,
      groups: this.#segments.map((_, pg) => ({ pg: asPgIndex(pg), formulas: this.#formulas })),
    });
    // Members that answer rarely leave the others to be the read quorum; at most one a group is damaged.
    const reach = this.#segments.map((group) => group.map(() => this.#random.pick([0.05, 0.3, 1])));
    for (const group of this.#segments) {
      for (const segment of group) segment.damaged = false;
      if (this.#random.chance(0.2)) this.#random.pick(group).damaged = true;
    }
    const patience = this.#random.chance(0.4) ? this.#random.below(40) : 5000;
    for (let step = 0; step < 5000; step++) {
      if (step > patience) {
        this.counts.abandoned++;
        return false;
      }
      if (this.#random.chance(0.2)) this.#write(this.#random.pick(this.#writers));
      this.#network(0.5);
      const pg = this.#random.below(this.#segments.length);
      const member = this.#random.below(MEMBERS.length);
      if (this.#random.chance(reach[pg][member])) this.#fence(recovery, pg, member);
      if (this.#random.chance(0.3)) this.#decide(recovery);
      if (this.#random.chance(0.3)) this.#repair(recovery);
      if (this.#random.chance(0.2) && recovery.canServe()) {
        this.#start = recovery.start();
        return true;
      }
    }
    throw new Error(`recovery does not end: ${JSON.stringify(recovery.waitingFor())}`);
  }

  /** The request or the answer may be lost on the way. */
  #fence(recovery: Recovery, pg: number, member: number): void {
    const answer = this.#segments[pg][member].fence(this.#epoch, this.#decisions.get(recovery)?.ranges ?? []);
    if (answer && this.#random.chance(0.8)) recovery.answered(asPgIndex(pg), MEMBERS[member], answer);
  }

  #decide(recovery: Recovery): void {
    if (this.#decisions.has(recovery)) return;
    const decision = recovery.decision();
    if (!decision) return;
    this.#decisions.set(recovery, decision);
    const { vdl, range } = decision;
    nodeAssert.ok(vdl >= this.#promised, `VDL ${this.#promised} was promised, recovery found ${vdl}`);
    nodeAssert.ok(vdl === 0 || this.#history.find(({ lsn }) => lsn === vdl)?.cpl, `${vdl} ends no MTR`);
    for (const { allocator } of this.#writers)
      nodeAssert.ok(allocator.last <= range.through, `LSN ${allocator.last} is beyond the range`);
    this.#decided = range;
  }

  /** What the recovery keeps becomes the history only when it is served; until then another may decide otherwise. */
  #repair(recovery: Recovery): void {
    const repairs = recovery.repairs();
    if (repairs.length === 0) return;
    const { pg, member, after, through, sources } = this.#random.pick(repairs);
    const source = this.#segments[pg][MEMBERS.indexOf(this.#random.pick(sources))];
    const target = this.#segments[pg][MEMBERS.indexOf(member)];
    for (const record of source.held())
      if (record.lsn > after && record.lsn <= through && this.#random.chance(0.95)) target.ingest(record);
  }

  #checkSurvivors(): void {
    const { vdl, groups, ranges } = this.#start;
    for (const { lsn } of this.#history) if (lsn > vdl) this.#annulled.add(lsn);
    this.#history = this.#history.filter(({ lsn }) => lsn <= vdl);
    this.counts.annulled = this.#annulled.size;
    this.counts.promised = this.#promised;
    for (const { pg, lastLsn } of groups) {
      const kept = this.#history.filter((record) => record.pg === pg);
      nodeAssert.equal(lastLsn, kept.at(-1)?.lsn ?? 0, 'the next record links to the last one kept');
      const whole = MEMBERS.filter((_, member) => {
        const held = new Set(this.#segments[pg][member].held());
        return kept.every((record) => held.has(record));
      });
      nodeAssert.ok(satisfied(this.#formulas.write, (member) => whole.includes(member)));
    }
    for (const { epoch, allocator } of this.#writers)
      nodeAssert.ok(
        epoch === this.#epoch || allocator.last < this.#start.nextLsn,
        'an LSN may be used twice',
      );
    // No resurrection: whoever knows the ranges holds nothing that is annulled.
    for (const segment of this.#segments.flat()) {
      if (!ranges.every((range) => segment.chain.truncation.has(range))) continue;
      for (const lsn of segment.records.keys()) nodeAssert.ok(!this.#annulled.has(lsn), `${lsn} came back`);
    }
  }
}
