/**
 * Takes records to the members, to all six: what somebody waits for leaves at the end of this turn of the event loop, without
 * a timer (on a crowded machine to four of them, and to the other two a moment later: late-ships.ts); what is appended while a node syncs goes into its next batch (P18 §2.2). So does the first record after a wait,
 * because the wait for it mostly follows at once (a backend writes its log, then syncs it). What is appended beyond that,
 * and nobody waits for, gathers for a moment: a checkpoint writes thousands of pages before it syncs one, and each ship of
 * its own would cost six nodes a write and a sync.
 *
 * Invariant: a record that has not reached a write quorum gets to every member that is there and obeys, sooner or later.
 * A member whose send buffer was full is `behind`: it is sent nothing out of order, and catches up from the outbox as its
 * buffer empties. Were the record merely skipped, one burst larger than all six buffers would leave it nowhere, and
 * every commit after it would wait for ever. What the outbox has let go of is at a write quorum; gossip brings it.
 */
import { assert, joinNeighbours, must, type Clock, type Epoch, type Lsn, type NodeId } from '@rokka/kernel';
import { MESSAGE } from '@rokka/storage';
import { SharedFrame } from '@rokka/transport';
import { SHIP_BYTES_MAX, type Group, type GroupPoints } from './group.ts';
import type { NodeLink } from './node-link.ts';
import { LateShips, NOBODY } from './late-ships.ts';
import type { NodeLinks } from './node-links.ts';
import type { SealedRun } from './sealer.ts';

/** So many bytes leave together, or what there is after so long. */
const GATHER_BYTES_MAX = 64 * 1024;
const GATHER_MS = 2;
/** Nodes learn of progress with the next ship; where none follows, so much later. */
const HEARTBEAT_MS = 250;
/** Groups that nobody writes to hear of the volume's progress less often; their log is dropped all the same. */
const IDLE_HEARTBEATS = 8;
/** Every ship is answered after the node's next sync. One that answers nothing for so long counts as gone (trap 26). */
const SILENCE_MS = 10_000;
/** Parts of this length on average go out as they are: to copy them costs more than to write them as a vector. */
const LONG_PART_BYTES = 16 * 1024;

export interface ShipperOptions {
  clock: Clock;
  volumeEpoch: Epoch;
  groups: readonly Group[];
  links: NodeLinks;
  pointsOf(group: Group): GroupPoints;
  /** Whether some record of the group is not at a write quorum yet, or is durable and not known to be by the members. */
  hasNews(group: Group): boolean;
  /** Whether some members get their ships a moment later (late-ships.ts). */
  crowded: boolean;
  /** What a member has acknowledged; undefined for one that does not count. */
  sclOf(group: Group, node: NodeId): Lsn | undefined;
  /** Up to where the group is at a write quorum. */
  pgclOf(group: Group): Lsn;
}

export class Shipper {
  readonly #options: ShipperOptions;
  /** For each node the groups in which it is behind, and the last LSN that it was sent. */
  readonly #behind = new Map<NodeId, Map<Group, Lsn>>();
  readonly #late: LateShips | undefined;
  #flushSoon = false;
  /** Nothing was appended since somebody waited. */
  #fresh = true;
  #gatheredBytes = 0;
  #cancelGathering: (() => void) | undefined;
  #stopped = false;
  #heartbeats = 0;
  #cancelHeartbeat = () => {};
  shippedBytes = 0;
  shippedWrites = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    const { clock, sclOf, pgclOf } = options;
    const send = (group: Group, runs: readonly SealedRun[], to: ReadonlySet<NodeId>) =>
      this.#sendTo(group, to, { runs, head: this.#headFor(group) });
    this.#late = options.crowded ? new LateShips({ clock, sclOf, pgclOf, send }) : undefined;
    this.#heartbeat();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelHeartbeat();
    this.#cancelGathering?.();
    this.#late?.stop();
  }

  /** The outboxes hold so many bytes more. `awaited`: somebody waits for what was appended before. */
  appended(bytes: number, options: { awaited: boolean }): void {
    const first = this.#fresh;
    this.#fresh = false;
    this.#gatheredBytes += bytes;
    if (first || options.awaited || this.#gatheredBytes > GATHER_BYTES_MAX) this.#flushLater();
    else this.#cancelGathering ??= this.#options.clock.after(GATHER_MS, () => this.#flushLater());
  }

  /** Somebody waits from now on. */
  awaited(): void {
    this.#fresh = true;
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#flushSoon) return;
    this.#flushSoon = true;
    this.#options.clock.soon(() => {
      this.#flushSoon = false;
      if (this.#stopped) return;
      this.#gatheredBytes = 0;
      this.#cancelGathering?.();
      this.#cancelGathering = undefined;
      for (const group of this.#options.groups) while (group.outbox.hasUnshipped) this.#ship(group);
    });
  }

  /** The member has everything up to `scl` and may lack the rest: a fence has just said so. */
  catchUp(group: Group, link: NodeLink, scl: Lsn): void {
    this.#markBehind(group, link.node, scl);
    // The points first, and even where no record follows: coalescing on a node that comes back waits for them.
    link.send(MESSAGE.SHIP, [this.#headFor(group)]);
    this.#resume(group, link);
  }

  /** The node's send buffer is empty. */
  drained(link: NodeLink): void {
    for (const group of this.#behind.get(link.node)?.keys() ?? []) this.#resume(group, link);
  }

  /** The connection is gone; the next one begins with fences. */
  forget(node: NodeId): void {
    this.#behind.delete(node);
  }

  #ship(group: Group): void {
    const runs = group.outbox.takeUnshipped(SHIP_BYTES_MAX);
    const late = this.#late?.of(group) ?? NOBODY;
    const now = group.members.map(({ node }) => node).filter((node) => !late.has(node));
    this.#sendTo(group, now, { runs, head: this.#announce(group) });
    if (late.size > 0) this.#late?.add(group, runs, late);
  }

  /** To those of them that are there and obey. */
  #sendTo(
    group: Group,
    nodes: Iterable<NodeId>,
    { runs, head }: { runs: readonly SealedRun[]; head: Uint8Array },
  ): void {
    const ship = new SharedFrame(MESSAGE.SHIP, joined([head, ...runs.map(({ bytes }) => bytes)]));
    const before = (must(runs[0]).firstLsn - 1) as Lsn;
    for (const node of nodes) {
      const link = this.#options.links.get(node);
      if (!link?.up || !group.isFenced(node) || this.#behind.get(node)?.has(group)) continue;
      if (!this.#send(link, ship)) this.#markBehind(group, node, before);
    }
  }

  /** Sends what the member was not sent yet, as much as its buffer takes. */
  #resume(group: Group, link: NodeLink): void {
    // One that has refused is fenced again first, which begins anew from its SCL.
    const groups = this.#behind.get(link.node);
    const sentThrough = groups?.get(group);
    if (!groups || sentThrough === undefined || !group.isFenced(link.node)) return;
    for (const runs of group.outbox.shippedAbove(sentThrough, SHIP_BYTES_MAX)) {
      const parts = [this.#headFor(group), ...runs.map(({ bytes }) => bytes)];
      if (!this.#send(link, new SharedFrame(MESSAGE.SHIP, parts))) return;
      groups.set(group, must(runs.at(-1)).lastLsn);
    }
    groups.delete(group);
    if (groups.size === 0) this.#behind.delete(link.node);
  }

  #send(link: NodeLink, ship: SharedFrame): boolean {
    if (!link.sendShared(ship)) return false;
    this.shippedBytes += ship.length;
    this.shippedWrites++;
    return true;
  }

  #markBehind(group: Group, node: NodeId, sentThrough: Lsn): void {
    const groups = this.#behind.get(node) ?? new Map<Group, Lsn>();
    this.#behind.set(node, groups.set(group, sentThrough));
  }

  #headFor(group: Group): Uint8Array {
    return group.shipHead(this.#options.volumeEpoch, this.#options.pointsOf(group));
  }

  #heartbeat(): void {
    this.#cancelHeartbeat = this.#options.clock.after(HEARTBEAT_MS, () => {
      assert(!this.#stopped, 'a heartbeat after the end');
      this.#heartbeats++;
      for (const link of this.#options.links.values()) {
        link.closeWhenSilent(SILENCE_MS);
        // A buffer that was empty when a frame did not fit reports no drain.
        if (this.#behind.has(link.node) && link.bufferedBytes === 0) this.drained(link);
      }
      for (const group of this.#options.groups) this.#tell(group);
      this.#heartbeat();
    });
  }

  /** With something outstanding this also asks again for acks, which are cumulative. */
  #tell(group: Group): void {
    const { hasNews, pointsOf, links } = this.#options;
    if (!hasNews(group)) {
      const idle = group.announcedVdl === pointsOf(group).vdl;
      if (idle || this.#heartbeats % IDLE_HEARTBEATS !== 0) return;
    }
    const head = new SharedFrame(MESSAGE.SHIP, [this.#announce(group)]);
    for (const { node } of group.members) if (group.isFenced(node)) links.get(node)?.sendShared(head);
  }

  /** What is told to all members from here on. */
  #announce(group: Group): Uint8Array {
    const points = this.#options.pointsOf(group);
    group.announcedVdl = points.vdl;
    return group.shipHead(this.#options.volumeEpoch, points);
  }
}

/**
 * What lies side by side in memory is one part without a copy, as most of what was made one after the other does. Of what is left, one buffer is
 * made where parts are short: a burst of small records would be hundreds of them for each socket.
 */
function joined(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const few = joinNeighbours(parts);
  const bytes = few.reduce((sum, part) => sum + part.length, 0);
  return bytes >= few.length * LONG_PART_BYTES ? few : [Buffer.concat(few, bytes)];
}
