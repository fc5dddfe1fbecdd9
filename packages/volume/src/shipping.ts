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
import { assert, must, type Clock, type Epoch, type Lsn, type NodeId } from '@rokka/kernel';
import { encodeShips, MESSAGE, type ShipParts } from '@rokka/storage';
import { SharedFrame } from '@rokka/transport';
import type { Group, GroupPoints } from './group.ts';
import type { NodeLink } from './node-link.ts';
import { LateShips, NOBODY, type LateShip } from './late-ships.ts';
import type { NodeLinks } from './node-links.ts';
import type { SealedRun } from './sealer.ts';
import { ShipBatch } from './ship-batch.ts';

/** So many bytes leave together, or what there is after so long. */
const GATHER_BYTES_MAX = 64 * 1024;
const GATHER_MS = 2;
/** Nodes learn of progress with the next ship; where none follows, so much later. */
const HEARTBEAT_MS = 250;
/** Groups that nobody writes to hear of the volume's progress less often; their log is dropped all the same. */
const IDLE_HEARTBEATS = 8;
/** Every ship is answered after the node's next sync. One that answers nothing for so long counts as gone (trap 26). */
const SILENCE_MS = 10_000;

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
  /** Of records in one message. */
  shipBytesMax: number;
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
  /** What leaves at the end of this turn. */
  #batch = new ShipBatch();
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
    const send = (ships: readonly LateShip[]) => this.#sendLate(ships);
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
      this.#sendBatch();
    });
  }

  /** The member has everything up to `scl` and may lack the rest: a fence has just said so. */
  catchUp(group: Group, link: NodeLink, scl: Lsn): void {
    this.#markBehind(group, link.node, scl);
    // The points first, and even where no record follows: coalescing on a node that comes back waits for them.
    link.send(MESSAGE.SHIP, encodeShips([this.#shipOf(group, [])]));
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
    const runs = group.outbox.takeUnshipped(this.#options.shipBytesMax);
    const late = this.#late?.of(group) ?? NOBODY;
    const now = group.members.map(({ node }) => node).filter((node) => !late.has(node));
    group.announcedVdl = this.#add(group, runs, now).vdl;
    if (late.size > 0) this.#late?.add(group, runs, late);
  }

  /** What was taken later never leaves before what was taken earlier. */
  #sendLate(ships: readonly LateShip[]): void {
    this.#sendBatch();
    for (const { group, runs, to } of ships) this.#add(group, runs, to);
    this.#sendBatch();
  }

  /** For those of them that are there and obey. Answers what they get. */
  #add(group: Group, runs: readonly SealedRun[], nodes: Iterable<NodeId>): ShipParts {
    const { links, shipBytesMax } = this.#options;
    const bytes = runs.reduce((sum, run) => sum + run.bytes.length, 0);
    if (this.#batch.bytes > 0 && this.#batch.bytes + bytes > shipBytesMax) this.#sendBatch();
    const to = [...nodes].filter(
      (node) => links.get(node)?.up && group.isFenced(node) && !this.#behind.get(node)?.has(group),
    );
    const after = (must(runs[0]).firstLsn - 1) as Lsn;
    const parts = this.#shipOf(group, runs);
    this.#batch.add({ group, after, parts }, to);
    return parts;
  }

  #sendBatch(): void {
    const batch = this.#batch;
    this.#batch = new ShipBatch();
    for (const { node, ships, frame } of batch.messages()) {
      if (this.#send(must(this.#options.links.get(node)), frame)) continue;
      // The first of a group's is where it goes on.
      for (const { group, after } of ships.toReversed()) this.#markBehind(group, node, after);
    }
  }

  /** Sends what the member was not sent yet, as much as its buffer takes. */
  #resume(group: Group, link: NodeLink): void {
    // One that has refused is fenced again first, which begins anew from its SCL.
    const groups = this.#behind.get(link.node);
    const sentThrough = groups?.get(group);
    if (!groups || sentThrough === undefined || !group.isFenced(link.node)) return;
    for (const runs of group.outbox.shippedAbove(sentThrough, this.#options.shipBytesMax)) {
      const parts = encodeShips([this.#shipOf(group, runs)]);
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

  #shipOf(group: Group, runs: readonly SealedRun[]): ShipParts {
    const { volumeEpoch, pointsOf } = this.#options;
    return group.shipOf(
      volumeEpoch,
      pointsOf(group),
      runs.map(({ bytes }) => bytes),
    );
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
      this.#tell();
      this.#heartbeat();
    });
  }

  /** With something outstanding this also asks again for acks, which are cumulative. */
  #tell(): void {
    const { groups, links } = this.#options;
    const batch = new ShipBatch();
    for (const group of groups) {
      if (!this.#isToBeTold(group)) continue;
      const parts = this.#shipOf(group, []);
      group.announcedVdl = parts.vdl;
      const fenced = group.members.map(({ node }) => node).filter((node) => group.isFenced(node));
      batch.add({ group, after: parts.vdl, parts }, fenced);
    }
    for (const { node, frame } of batch.messages()) links.get(node)?.sendShared(frame);
  }

  #isToBeTold(group: Group): boolean {
    const { hasNews, pointsOf } = this.#options;
    if (hasNews(group)) return true;
    return group.announcedVdl !== pointsOf(group).vdl && this.#heartbeats % IDLE_HEARTBEATS === 0;
  }
}
