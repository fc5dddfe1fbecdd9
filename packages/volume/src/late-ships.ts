/**
 * What two of a group's six slots are sent a moment after the other four. A commit waits for four; six processes that wake and sync at
 * once for each are in each other's way wherever they share processors or a disk, and the last two of them for nothing. So these two
 * get several ships in one.
 *
 * Who waits is chosen anew after each time: of the full members the one that is furthest behind, and of the tails. While a member is
 * replaced it waits, and the newcomer with it, in the place of the one of their kind: the four others are a quorum with either of
 * them. Where the four did not make the quorum by then, one of them is slow, and for a while everybody is sent everything at once.
 *
 * Invariant: what was taken from the outbox is kept here until it was sent to those who wait, or they are known to be behind; the outbox may
 * have let go of it. At most LATE_MS or LATE_BYTES_MAX of log are kept.
 */
import { type Clock, type Lsn, must, type NodeId } from '@rokka/kernel';
import type { MemberKind, PlacedMember, Slot } from '@rokka/quorum';
import type { Group } from './group.ts';
import type { SealedRun } from './sealer.ts';

/** Some rounds of commits. */
const LATE_MS = 5;
/** While a member is replaced: what the copy costs those who write, its two slots give back. */
const LATE_IN_CHANGE_MS = 20;
const LATE_BYTES_MAX = 64 * 1024;
/** How long nobody waits after the four were too few. */
const PROMPT_MS = 250;
const KINDS = ['full', 'tail'] as const;
const SLOTS_OF_KIND = 3;
const SLOTS_WAITING_MAX = 2;
/** So many slots are a write quorum, whoever has them. */
const SLOTS_ENOUGH = 4;

export interface LateShipsOptions {
  clock: Clock;
  group: Group;
  /** What the member has acknowledged; undefined for one that does not count. */
  sclOf(node: NodeId): Lsn | undefined;
  /** Up to where the group is at a write quorum. */
  pgcl(): Lsn;
  /** Sends them to these members. */
  send(runs: readonly SealedRun[], to: ReadonlySet<NodeId>): void;
}

export class LateShips {
  readonly #options: LateShipsOptions;
  #runs: SealedRun[] = [];
  #bytes = 0;
  #members: ReadonlySet<NodeId> = new Set();
  #promptUntilMs = 0;
  #cancel = () => {};

  constructor(options: LateShipsOptions) {
    this.#options = options;
  }

  /** Whether the member is sent the next ship later, with others. */
  waits(node: NodeId): boolean {
    return this.#members.has(node);
  }

  /** The other members were sent these. */
  add(runs: readonly SealedRun[]): void {
    if (this.#members.size === 0) return this.#choose();
    const { clock, group } = this.#options;
    const lateMs = group.roster.membership.slots.some(isChanging) ? LATE_IN_CHANGE_MS : LATE_MS;
    if (this.#runs.length === 0) this.#cancel = clock.after(lateMs, () => this.flush());
    this.#runs.push(...runs);
    for (const { bytes } of runs) this.#bytes += bytes.length;
    if (this.#bytes > LATE_BYTES_MAX) this.flush();
  }

  flush(): void {
    this.#cancel();
    const runs = this.#runs;
    if (runs.length > 0) {
      this.#runs = [];
      this.#bytes = 0;
      this.#options.send(runs, this.#members);
      const { clock, pgcl } = this.#options;
      if (pgcl() < must(runs[0]).firstLsn) this.#promptUntilMs = clock.nowMs() + PROMPT_MS;
    }
    this.#choose();
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#cancel();
  }

  #choose(): void {
    const { clock } = this.#options;
    const last = clock.nowMs() >= this.#promptUntilMs ? this.#last() : [];
    this.#members = new Set(last.flatMap(membersOf).map(({ node }) => node));
  }

  /** The slots that four others make a quorum without. */
  #last(): readonly Slot[] {
    const { group } = this.#options;
    const { slots } = group.roster.membership;
    const changing = slots.filter(isChanging);
    const more =
      changing.length < SLOTS_WAITING_MAX ? KINDS.flatMap((kind) => this.#furthestBehind(kind)) : [];
    const last = [...changing, ...more];
    const prompt = slots.filter((slot) => !last.includes(slot) && group.isFenced(slot.member.node));
    return last.length <= SLOTS_WAITING_MAX && prompt.length >= SLOTS_ENOUGH ? last : [];
  }

  /** None where one of the kind is away: then the others are needed. Nor where one is being replaced: it is the last. */
  #furthestBehind(kind: MemberKind): Slot[] {
    const { group, sclOf } = this.#options;
    const slots = group.roster.membership.slots.filter(({ member }) => member.kind === kind);
    const isThere = (slot: Slot) => !isChanging(slot) && group.isFenced(slot.member.node);
    if (slots.length !== SLOTS_OF_KIND || !slots.every(isThere)) return [];
    const scls = slots.map((slot) => ({ slot, scl: sclOf(slot.member.node) ?? 0 }));
    return [scls.reduce((last, one) => (one.scl < last.scl ? one : last)).slot];
  }
}

function isChanging({ candidate }: Slot): boolean {
  return candidate !== undefined;
}

function membersOf({ member, candidate }: Slot): PlacedMember[] {
  return candidate ? [member, candidate] : [member];
}
