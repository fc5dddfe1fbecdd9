/**
 * What two of a group's six slots are sent a moment after the other four. A commit waits for four; six processes that wake and sync at
 * once for each are in each other's way wherever they share processors or a disk, and the last two of them for nothing. So these two
 * get several ships in one.
 *
 * Who waits is chosen anew after each time: of the full members the one that is furthest behind, and of the tails; over all groups
 * together, so that the same two nodes wait for all of them where it can be. While a member is
 * replaced it waits, and the newcomer with it, in the place of the one of their kind: the four others are a quorum with either of
 * them. Where the four did not make the quorum by then, one of them is slow, and for a while everybody is sent everything at once.
 *
 * Invariant: what was taken from the outbox is kept here until it was sent to those who wait, or they are known to be behind; the outbox may
 * have let go of it. At most LATE_BYTES_MAX of log are kept, and not for longer than LATE_MS, or LATE_IN_CHANGE_MS: what waits leaves together, when the
 * first of it is due.
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
/** The four had time to answer. */
const JUDGED_AFTER_MS = 2;
/** How long nobody waits after the four were too few. */
const PROMPT_MS = 250;
const KINDS = ['full', 'tail'] as const;
const SLOTS_OF_KIND = 3;
const SLOTS_WAITING_MAX = 2;
/** So many slots are a write quorum, whoever has them. */
const SLOTS_ENOUGH = 4;
export const NOBODY: ReadonlySet<NodeId> = new Set();

export interface LateShipsOptions {
  clock: Clock;
  /** What the member has acknowledged; undefined for one that does not count. */
  sclOf(group: Group, node: NodeId): Lsn | undefined;
  /** Up to where the group is at a write quorum. */
  pgclOf(group: Group): Lsn;
  /** Sends them to those who wait for them, together. */
  send(ships: readonly LateShip[]): void;
}

export interface LateShip {
  readonly group: Group;
  readonly to: ReadonlySet<NodeId>;
  readonly runs: readonly SealedRun[];
}

interface Waiting extends LateShip {
  readonly sinceMs: number;
  readonly runs: SealedRun[];
}

export class LateShips {
  readonly #options: LateShipsOptions;
  readonly #waiting = new Map<Group, Waiting>();
  #bytes = 0;
  /** Who waits, for each group that was shipped to since they were chosen. */
  readonly #chosen = new Map<Group, ReadonlySet<NodeId>>();
  /** Groups that were shipped to since it was looked at last how far each node is behind. */
  readonly #shipped = new Set<Group>();
  #behind: ReadonlyMap<NodeId, number> = new Map();
  #promptUntilMs = 0;
  #cancel = () => {};

  constructor(options: LateShipsOptions) {
    this.#options = options;
  }

  /** The members that are sent the group's next ship later, with others. */
  of(group: Group): ReadonlySet<NodeId> {
    this.#shipped.add(group);
    const known = this.#chosen.get(group);
    if (known) return known;
    const { clock } = this.#options;
    if (clock.nowMs() < this.#promptUntilMs) return NOBODY;
    if (this.#promptUntilMs > 0) this.#compare();
    this.#promptUntilMs = 0;
    const nodes = this.#lastSlots(group).flatMap(membersOf);
    if (nodes.length === 0) return NOBODY;
    const chosen = new Set(nodes.map(({ node }) => node));
    this.#chosen.set(group, chosen);
    return chosen;
  }

  /** The group's other members were sent these; `to` are those who wait. */
  add(group: Group, runs: readonly SealedRun[], to: ReadonlySet<NodeId>): void {
    const { clock } = this.#options;
    const lateMs = group.roster.membership.slots.some(isChanging) ? LATE_IN_CHANGE_MS : LATE_MS;
    if (this.#waiting.size === 0) this.#cancel = clock.after(lateMs, () => this.flush());
    const waiting = this.#waiting.get(group) ?? { sinceMs: clock.nowMs(), group, to, runs: [] };
    waiting.runs.push(...runs);
    this.#waiting.set(group, waiting);
    for (const { bytes } of runs) this.#bytes += bytes.length;
    if (this.#bytes > LATE_BYTES_MAX) this.flush();
  }

  flush(): void {
    this.#cancel();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#bytes = 0;
    this.#options.send(waiting);
    this.#chosen.clear();
    if (waiting.some((one) => this.#isShort(one)))
      this.#promptUntilMs = this.#options.clock.nowMs() + PROMPT_MS;
    else this.#compare();
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#cancel();
  }

  /** The four were too few for the first of what waited. */
  #isShort({ group, sinceMs, runs }: Waiting): boolean {
    const { clock, pgclOf } = this.#options;
    return clock.nowMs() - sinceMs >= JUDGED_AFTER_MS && pgclOf(group) < must(runs[0]).firstLsn;
  }

  /** How far each node is behind, in all groups that were shipped to since it was looked at. */
  #compare(): void {
    const lags = new Map<NodeId, number>();
    for (const group of this.#shipped) {
      const scls = group.members.map(({ node }) => ({ node, scl: this.#options.sclOf(group, node) ?? 0 }));
      const top = Math.max(...scls.map(({ scl }) => scl));
      for (const { node, scl } of scls) lags.set(node, (lags.get(node) ?? 0) + top - scl);
    }
    this.#shipped.clear();
    this.#behind = lags;
  }

  /** The slots that four others make a quorum without. */
  #lastSlots(group: Group): readonly Slot[] {
    const { slots } = group.roster.membership;
    const changing = slots.filter(isChanging);
    const more =
      changing.length < SLOTS_WAITING_MAX ? KINDS.flatMap((kind) => this.#furthestBehind(group, kind)) : [];
    const last = [...changing, ...more];
    const prompt = slots.filter((slot) => !last.includes(slot) && group.isFenced(slot.member.node));
    return last.length <= SLOTS_WAITING_MAX && prompt.length >= SLOTS_ENOUGH ? last : [];
  }

  /** None where one of the kind is away: then the others are needed. Nor where one is being replaced: it is the last. */
  #furthestBehind(group: Group, kind: MemberKind): Slot[] {
    const slots = group.roster.membership.slots.filter(({ member }) => member.kind === kind);
    const isThere = (slot: Slot) => !isChanging(slot) && group.isFenced(slot.member.node);
    if (slots.length !== SLOTS_OF_KIND || !slots.every(isThere)) return [];
    const lag = ({ member }: Slot) => this.#behind.get(member.node) ?? 0;
    return [slots.reduce((last, slot) => (lag(slot) > lag(last) ? slot : last))];
  }
}

function isChanging({ candidate }: Slot): boolean {
  return candidate !== undefined;
}

function membersOf({ member, candidate }: Slot): PlacedMember[] {
  return candidate ? [member, candidate] : [member];
}
