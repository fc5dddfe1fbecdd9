/**
 * I17, take-over: whoever takes over from a writer that was killed appends all that this one had taken and that its recovery did not
 * find, in its order, and nothing else. He is refused only where somebody else had the volume meanwhile, where the writer before had
 * ended by itself, or was killed while it took over itself.
 */
import { must, type Epoch, type Lsn } from '@rokka/kernel';
import { readRecordHeader, RECORD_HEADER_BYTES, type RecordHeader } from '@rokka/quorum';
import { demand } from '../broken-invariant.ts';
import type { Listeners } from '../event-log.ts';
import type { EventOf, SeenRecord } from '../events.ts';

/** A mini-transaction. */
type Mtr = readonly SeenRecord[];

/** A log in memory, as it must be by what happened to it. */
interface Memory {
  /** Who wrote it; nobody can take over from nobody. */
  writer: string | undefined;
  epoch: Epoch | undefined;
  /** Who was the last to say that he takes over. */
  claimed: Epoch | undefined;
  /** What was in force when somebody asked last. */
  epochBefore: Epoch | undefined;
  /** Nobody follows once somebody has ended it; who is refused ends it, too. */
  endedBy: string | undefined;
  /** What is to be appended again, by whom. */
  pending: { writer: string; mtrs: Mtr[]; next: number } | undefined;
}

const NOTHING: Memory = {
  writer: undefined,
  epoch: undefined,
  claimed: undefined,
  epochBefore: undefined,
  endedBy: undefined,
  pending: undefined,
};

export class TakeOverOracle {
  readonly #memories = new Map<string, Memory>();
  readonly #memoryOf = new Map<string, Memory>();
  /** By writer: what it made and did not know to be durable. */
  readonly #made = new Map<string, Mtr[]>();

  readonly listeners: Listeners = {
    appended: (event) => this.#appended(event),
    memory: (event) => this.#fate(event),
    fate: ({ who, what, why }) => {
      if (what === 'failed' && why === 'VOLUME_NOT_RESUMABLE') this.#refused(who);
    },
  };

  #appended({ writer, vdl, records }: EventOf<'appended'>): void {
    const made = (this.#made.get(writer) ?? []).filter((mtr) => lastOf(mtr) > vdl);
    this.#made.set(writer, [...made, records]);
    const pending = this.#memoryOf.get(writer)?.pending;
    if (pending?.writer !== writer) return;
    const expected = pending.mtrs[pending.next++];
    demand(
      expected !== undefined && sameChanges(expected, records),
      'I17',
      () => `${writer} appends again what ${describe(expected)} is not: ${describe(records)}`,
    );
  }

  #fate({ writer, memory: name, what, epoch, vdl }: EventOf<'memory'>): void {
    const memory = this.#memories.get(name) ?? { ...NOTHING };
    this.#memories.set(name, memory);
    this.#memoryOf.set(writer, memory);
    switch (what) {
      case 'begun':
        return void Object.assign(memory, { ...NOTHING, writer, epoch });
      case 'asked':
        return void (memory.epochBefore = epoch);
      case 'claimed':
        demand(
          mayFollow(writer, memory),
          'I17',
          () => `${writer} takes over, though somebody else had the volume`,
        );
        return void (memory.claimed = epoch);
      case 'taking over': {
        const from = must(memory.writer, 'somebody whose log can be taken over');
        const mtrs = (this.#made.get(from) ?? []).filter((mtr) => lastOf(mtr) > must(vdl));
        return void Object.assign(memory, { ...NOTHING, epoch, pending: { writer, mtrs, next: 0 } });
      }
      case 'took over': {
        const { mtrs, next } = must(memory.pending);
        demand(next === mtrs.length, 'I17', () => `${writer} took over, and lacks ${describe(mtrs[next])}`);
        return void Object.assign(memory, { writer, pending: undefined });
      }
      case 'ended':
        return void (memory.endedBy ??= writer);
    }
  }

  #refused(who: string): void {
    const memory = this.#memoryOf.get(who);
    if (!memory) return;
    const why = () =>
      `${who} may not take over from ${memory.writer}, though nobody had the volume in between`;
    demand(!mayFollow(who, memory), 'I17', why);
  }
}

/** Nobody had the volume since, but for those who were killed when they had said that they take over. */
function mayFollow(who: string, memory: Memory): boolean {
  const { writer, epoch, claimed, epochBefore, endedBy } = memory;
  if (writer === undefined || (endedBy !== undefined && endedBy !== who)) return false;
  return epochBefore === epoch || epochBefore === claimed;
}

function lastOf(mtr: Mtr): Lsn {
  return must(mtr.at(-1)).lsn;
}

/** All but LSNs, epoch and checksum, which each writer gives of its own. */
function sameChanges(one: Mtr, other: Mtr): boolean {
  return one.length === other.length && one.every((record, at) => sameChange(record, must(other[at])));
}

function sameChange(one: SeenRecord, other: SeenRecord): boolean {
  const [{ page, pg, flags, rangeCount }, again] = [headerOf(one), headerOf(other)];
  const isSameHead =
    page === again.page && pg === again.pg && flags === again.flags && rangeCount === again.rangeCount;
  const [ranges, rangesAgain] = [one, other].map(({ bytes }) => bytes.subarray(RECORD_HEADER_BYTES));
  return isSameHead && Buffer.compare(must(ranges), must(rangesAgain)) === 0;
}

function headerOf({ bytes }: SeenRecord): RecordHeader {
  return readRecordHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
}

function describe(mtr: Mtr | undefined): string {
  if (!mtr) return 'nothing';
  return `LSN ${mtr.map(({ lsn }) => lsn).join(' ')} (pages ${mtr.map(({ page }) => page).join(' ')})`;
}
