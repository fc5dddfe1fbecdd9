/**
 * The writer of a volume. Open it (which fences every earlier writer for good and recovers), append mini-transactions, wait
 * for them to be durable, read pages.
 *
 * - Nothing but the progress tracker decides what is durable; `durable` is the VDL.
 * - No timer on the way of a commit: what has been appended by the end of a turn of the event loop is shipped then, to all
 *   six members; what is appended while a node syncs goes into its next batch (P18 §2.2).
 * - A member whose buffer is full, or that is away, is left out and fills its holes by gossip; only records that have not
 *   reached a write quorum are kept here and sent again.
 * - A volume that has failed stays failed: its owner must end, so that nothing goes on with writes that may be lost.
 */
import { assert, must, type Clock, type CodedError, isCoded, type Lsn, type NodeId } from '@rokka/kernel';
import type { PageNumber, PgIndex, Random, VolumeId } from '@rokka/kernel';
import { LsnAllocator, ProgressTracker, type VolumeStart } from '@rokka/quorum';
import type { Registry } from '@rokka/registry';
import { MESSAGE, type Ack, type ShipRefused } from '@rokka/storage';
import type { Network } from '@rokka/transport';
import { DurabilityWaiters, RoomWaiters } from './durability.ts';
import { volumeErrors } from './errors.ts';
import { placeMembers, type PlacedMember } from './geometry.ts';
import { Group, SHIP_BYTES_MAX } from './group.ts';
import { NodeLink, type NodeLinkEvents } from './node-link.ts';
import { PageReader } from './page-reader.ts';
import type { Ticket } from './page-store.ts';
import type { AsyncRecordSink } from './record-sink.ts';
import { recoverVolume } from './recovery-driver.ts';
import { Sealer } from './sealer.ts';
import { VolumeState, type GroupRecord } from './volume-state.ts';

/** Undurable bytes at which writers wait. Holds the memory of a writer whose nodes are slow. */
const OUTSTANDING_BYTES_MAX = 32 * 1024 * 1024;
/** Nodes learn of progress with the next ship; where none follows, so much later. */
const HEARTBEAT_MS = 250;
const GROW_TIMEOUT_MS = 30_000;
const RECOVER_TIMEOUT_MS = 600_000;

export interface VolumeOptions {
  volumeId: VolumeId;
  cluster: string;
  registry: Registry;
  network: Network;
  /** Socket address of a storage node. */
  addressOf(node: NodeId): string;
  clock: Clock;
  random: Random;
  signal?: AbortSignal;
  recoverTimeoutMs?: number;
  outstandingBytesMax?: number;
  onProgress?(text: string): void;
  /** Once, when another writer took over or the volume cannot go on. */
  onFailed?(error: CodedError): void;
}

export interface VolumeStatus {
  volumeId: string;
  volumeEpoch: number;
  vcl: number;
  vdl: number;
  lastLsn: number;
  outstandingBytes: number;
  shipped: { shippedBytes: number; shippedWrites: number };
  groups: {
    pg: number;
    pgcl: number;
    members: {
      fenced: boolean;
      bufferedBytes: number;
      node: string;
      zone: string;
      kind: string;
      up: boolean;
      scl: number | undefined;
      lagLsn: number | undefined;
      error: string | undefined;
    }[];
  }[];
}

export class Volume implements AsyncRecordSink, AsyncDisposable {
  readonly #options: VolumeOptions;
  readonly #state: VolumeState;
  readonly #links = new Map<NodeId, NodeLink>();
  readonly #groups: Group[] = [];
  readonly #reader: PageReader;
  readonly #durability = new DurabilityWaiters();
  readonly #room = new RoomWaiters();
  #tracker!: ProgressTracker;
  #allocator!: LsnAllocator;
  #sealer!: Sealer;
  #serving = false;
  #failure: CodedError | undefined;
  #flushSoon = false;
  #growing: Promise<void> | undefined;
  #cancelHeartbeat = () => {};
  #shippedBytes = 0;
  #shippedWrites = 0;

  private constructor(options: VolumeOptions, state: VolumeState) {
    this.#options = options;
    this.#state = state;
    this.#reader = new PageReader({
      clock: options.clock,
      random: options.random,
      volumeEpoch: state.record.volumeEpoch,
      linkAt: (group, place) => this.#upLink(group, place),
      sclAt: (group, place) => this.#tracker.scl(group.pg, place),
      demandAlive: () => this.#demandAlive(),
    });
  }

  /** Makes a volume of no pages in the registry; its first protection group comes with the first opening. */
  static readonly create = VolumeState.create;

  /**
   * Opens the volume for writing: fences every earlier writer, recovers, and serves.
   * @throws VOLUME_NONE, VOLUME_NO_QUORUM, VOLUME_INTERRUPTED
   */
  static async open(options: VolumeOptions): Promise<Volume> {
    const state = await VolumeState.takeOver(options.registry, options.volumeId);
    const volume = new Volume(options, state);
    try {
      await volume.#open();
    } catch (error) {
      await volume[Symbol.asyncDispose]();
      throw error;
    }
    return volume;
  }

  get mappedPages(): number {
    return this.#groups.length * this.#state.record.pagesPerGroup;
  }

  get pagesMax(): number {
    return this.#state.record.groupsMax * this.#state.record.pagesPerGroup;
  }

  get applied(): Ticket {
    return this.#tracker.lastLsn as number as Ticket;
  }

  get durable(): Ticket {
    return this.#durable() as number as Ticket;
  }

  hasRoom(bytes: number, records: number): boolean {
    return this.#allocator.hasRoom({ records, sizeBytes: bytes });
  }

  append(mtr: Uint8Array, recordCount: number): Ticket {
    this.#demandAlive();
    const firstLsn = this.#allocator.allocate({ records: recordCount, sizeBytes: mtr.length });
    const lastLsn = firstLsn + recordCount - 1;
    for (const run of this.#sealer.seal(mtr, recordCount, firstLsn)) {
      for (let lsn = run.firstLsn; lsn <= run.lastLsn; lsn++)
        this.#tracker.allocated(run.pg, lsn, lsn === lastLsn);
      must(this.#groups[run.pg]).outbox.add(run);
    }
    this.#flushLater();
    return lastLsn as Ticket;
  }

  async read(page: PageNumber): Promise<Uint8Array | undefined> {
    this.#demandAlive();
    const group = must(this.#groups[this.#sealer.pgOf(page)], 'page is not mapped');
    const readPoint = this.#tracker.vdl;
    const requiredScl = this.#tracker.lastLsnAtOrBelow(group.pg, readPoint);
    return this.#reader.read(group, { page, readPoint, requiredScl });
  }

  async grow(mapPages: number): Promise<void> {
    if (mapPages > this.pagesMax) throw volumeErrors.VOLUME_FULL([mapPages, this.pagesMax]);
    while (this.mappedPages < mapPages) {
      this.#demandAlive();
      this.#growing ??= this.#addGroup().finally(() => (this.#growing = undefined));
      await this.#growing;
    }
  }

  async whenRoom(bytes: number, records: number): Promise<void> {
    while (!this.hasRoom(bytes, records)) {
      this.#demandAlive();
      await this.#room.wait();
    }
  }

  whenDurable(ticket: Ticket): Promise<void> {
    return this.#durability.wait(ticket, this.durable);
  }

  status(): VolumeStatus {
    const { volumeId, volumeEpoch } = this.#state.record;
    return {
      volumeId,
      volumeEpoch,
      vcl: this.#tracker.vcl,
      vdl: this.#tracker.vdl,
      lastLsn: this.applied,
      outstandingBytes: this.#allocator.outstandingBytes,
      shipped: { shippedBytes: this.#shippedBytes, shippedWrites: this.#shippedWrites },
      groups: this.#groups.map((group) => ({
        pg: group.pg,
        pgcl: this.#tracker.pgcl(group.pg),
        members: group.members.map(({ node, zone, kind }, place) => {
          const scl = this.#tracker.scl(group.pg, place);
          const link = this.#links.get(node);
          const lagLsn = scl === undefined ? undefined : Math.max(0, this.#tracker.lastLsnOf(group.pg) - scl);
          const fenced = group.isFenced(node);
          const bufferedBytes = link?.bufferedBytes ?? 0;
          return {
            fenced,
            bufferedBytes,
            node,
            zone,
            kind,
            up: link?.up ?? false,
            scl,
            lagLsn,
            error: link?.lastError?.code,
          };
        }),
      })),
    };
  }

  /** Stops writing. What is not durable yet may be lost: wait for `whenDurable(applied)` first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(volumeErrors.VOLUME_CLOSED([this.#options.volumeId]), { quiet: true });
    this.#cancelHeartbeat();
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
  }

  async #open(): Promise<void> {
    const { record } = this.#state;
    for (const { node } of record.nodes) this.#links.set(node, this.#link(node));
    for (const group of record.groups) this.#groups.push(this.#group(group));
    const start = record.groups.length === 0 ? this.#firstStart() : await this.#recover();
    this.#tracker = new ProgressTracker({
      vdl: start.vdl,
      nextLsn: start.nextLsn,
      groups: start.groups.map(({ pg, lastLsn, scls }) => ({
        ...this.#tracked(must(this.#groups[pg])),
        lastLsn,
        scls,
      })),
    });
    this.#allocator = new LsnAllocator({
      nextLsn: start.nextLsn,
      outstandingBytesMax: this.#options.outstandingBytesMax ?? OUTSTANDING_BYTES_MAX,
      allocationLimit: record.lsnAllocationLimitMax,
    });
    this.#sealer = new Sealer({
      volumeEpoch: record.volumeEpoch,
      pagesPerGroup: record.pagesPerGroup,
      lastVolumeLsn: start.vdl,
      lastPgLsn: start.groups.map(({ lastLsn }) => lastLsn),
    });
    this.#serving = true;
    for (const link of this.#links.values()) if (link.up) void this.#fenceAll(link);
    this.#heartbeat();
    if (this.#groups.length === 0) await this.grow(1);
  }

  #firstStart(): VolumeStart {
    const { volumeEpoch } = this.#state.record;
    return { volumeEpoch, vdl: 0 as Lsn, nextLsn: 1 as Lsn, ranges: [], groups: [] };
  }

  #recover(): Promise<VolumeStart> {
    const { record } = this.#state;
    const { clock, recoverTimeoutMs, signal, onProgress } = this.#options;
    return recoverVolume({
      volumeId: record.volumeId,
      volumeEpoch: record.volumeEpoch,
      groups: this.#groups,
      links: this.#links,
      ranges: record.truncationRanges,
      allocationLimit: record.lsnAllocationLimitMax,
      clock,
      timeoutMs: recoverTimeoutMs ?? RECOVER_TIMEOUT_MS,
      signal: signal ?? new AbortController().signal,
      decideRange: (range) => this.#state.addRange(range),
      createMissing: (group, link) => this.#createMissing(group, link),
      ...(onProgress ? { onProgress } : {}),
    });
  }

  #link(node: NodeId): NodeLink {
    const { addressOf, cluster, network, clock, random } = this.#options;
    const events: NodeLinkEvents = {
      onUp: (link) => void (this.#serving && this.#fenceAll(link)),
      onDown: (link) => {
        for (const group of this.#groups) group.markFenced(link.node, false);
      },
      onAck: (link, ack) => this.#onAck(link, ack),
      onRefused: (link, refused) => this.#onRefused(link, refused),
    };
    return new NodeLink({ node, address: addressOf(node), cluster, network, clock, random, events });
  }

  #group(record: GroupRecord): Group {
    const { volumeId, pagesPerGroup } = this.#state.record;
    return new Group({ ...record, volume: volumeId, pagesPerGroup });
  }

  #tracked(group: Group) {
    const members = group.members.map(({ node }) => node as string);
    return { pg: group.pg, members, write: group.formulas.write };
  }

  /** A node has come (back): fence each of its segments, learn where it stands, send it what may be nowhere else. */
  async #fenceAll(link: NodeLink): Promise<void> {
    await Promise.all(this.#groups.map((group) => this.#fenceOne(group, link)));
  }

  async #fenceOne(group: Group, link: NodeLink): Promise<void> {
    const place = group.placeOf(link.node);
    if (place < 0 || group.isFenced(link.node)) return;
    const { volumeEpoch } = this.#state.record;
    try {
      const fence = () => group.fenceOn(link, volumeEpoch, this.#state.record.truncationRanges);
      const state = await fence().catch(async (error: unknown) => {
        if (!isCoded(error, 'STORAGE_NO_SEGMENT')) throw error;
        await this.#createMissing(group, link);
        return fence();
      });
      // A damaged segment is unknown: what it would answer must not count, whatever it says.
      if (state.damaged || !this.#serving || !link.up) return;
      group.markFenced(link.node, true);
      group.coalescedTo(place, state.coalesced);
      for (const records of group.outbox.shippedAbove(state.scl, SHIP_BYTES_MAX))
        this.#shipTo(group, link, records);
      this.#progress(group, place, state.scl);
    } catch (error) {
      if (isCoded(error, 'STORAGE_STALE_EPOCH')) this.#fencedBy(error);
      else if (!isCoded(error)) throw error;
      // Anything else ends with the connection, and is tried again with the next one.
      else if (link.up)
        this.#options.clock.after(HEARTBEAT_MS, () => void (link.up && this.#fenceOne(group, link)));
    }
  }

  async #createMissing(group: Group, link: NodeLink): Promise<void> {
    const record = must(this.#state.record.groups[group.pg]);
    // A node that is not on the list has had its segment: an empty one in its place would be a lie (amnesia).
    if (!record.missing.includes(link.node)) {
      throw volumeErrors.VOLUME_SEGMENT_LOST([link.node, group.pg]);
    }
    await group.createOn(link, this.#state.record.volumeEpoch, this.#options.addressOf);
    await this.#state.madeMissing(group.pg, link.node);
  }

  /** Maps one more protection group: its segments first, at a write quorum; then the registry; only then may LSNs go there. */
  async #addGroup(): Promise<void> {
    const { record } = this.#state;
    const pg = this.#groups.length as PgIndex;
    const members: PlacedMember[] = placeMembers(record.nodes, pg, record);
    const group = this.#group({
      pg,
      membershipEpoch: 1 as GroupRecord['membershipEpoch'],
      members,
      missing: [],
    });
    const made = await this.#makeSegments(group);
    const missing = members.map(({ node }) => node).filter((node) => !made.has(node));
    await this.#state.addGroup({
      pg,
      membershipEpoch: 1 as GroupRecord['membershipEpoch'],
      members,
      missing,
    });
    this.#groups.push(group);
    this.#sealer.addGroup();
    const scls = new Map([...made].map((node) => [node as string, 0 as Lsn]));
    this.#tracker.setGroup({ ...this.#tracked(group), lastLsn: 0 as Lsn, scls });
    for (const link of this.#links.values()) if (link.up) void this.#fenceOne(group, link);
  }

  async #makeSegments(group: Group): Promise<Set<NodeId>> {
    const { clock, volumeId, addressOf } = this.#options;
    const { volumeEpoch, truncationRanges } = this.#state.record;
    const made = new Set<NodeId>();
    const startedMs = clock.nowMs();
    for (;;) {
      this.#demandAlive();
      const links = group.members.map(({ node }) => must(this.#links.get(node)));
      const make = async (link: NodeLink) => {
        await group.createOn(link, volumeEpoch, addressOf);
        await group.fenceOn(link, volumeEpoch, truncationRanges);
        made.add(link.node);
      };
      const outcomes = await Promise.allSettled(
        links.filter((link) => link.up && !made.has(link.node)).map(make),
      );
      const stale = outcomes.find(
        (one) => one.status === 'rejected' && isCoded(one.reason, 'STORAGE_STALE_EPOCH'),
      );
      if (stale?.status === 'rejected') this.#fencedBy(stale.reason as CodedError);
      // All six if they are there; a write quorum is enough where some have stayed away for a while.
      const waitedMs = clock.nowMs() - startedMs;
      if (made.size === 6 || (made.size >= 4 && waitedMs > 1_000)) return made;
      if (waitedMs > GROW_TIMEOUT_MS) {
        throw volumeErrors.VOLUME_NO_QUORUM([volumeId, group.pg, made.size, GROW_TIMEOUT_MS]);
      }
      await clock.sleep(20);
    }
  }

  #flushLater(): void {
    if (this.#flushSoon) return;
    this.#flushSoon = true;
    this.#options.clock.soon(() => {
      this.#flushSoon = false;
      if (this.#failure) return;
      for (const group of this.#groups) while (group.outbox.hasUnshipped) this.#ship(group);
    });
  }

  #ship(group: Group): void {
    const records = group.outbox.takeUnshipped(SHIP_BYTES_MAX);
    const head = group.shipHead(this.#state.record.volumeEpoch, this.#points(group));
    const parts = [head, ...records];
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    for (const { node } of group.members) {
      const link = this.#links.get(node);
      if (!link?.up || !group.isFenced(node) || !link.send(MESSAGE.SHIP, parts)) continue;
      this.#shippedBytes += bytes;
      this.#shippedWrites++;
    }
  }

  #shipTo(group: Group, link: NodeLink, records: readonly Uint8Array[]): void {
    group.ship(link, this.#state.record.volumeEpoch, this.#points(group), records);
  }

  #points(group: Group): { vdl: Lsn; pgmrpl: Lsn; logFloor: Lsn } {
    const vdl = this.#durable();
    group.shippedVdl = vdl;
    return {
      vdl,
      pgmrpl: this.#reader.points.pgmrpl(vdl),
      logFloor: Math.min(
        vdl,
        group.logFloor((place) => this.#tracker.scl(group.pg, place)),
      ) as Lsn,
    };
  }

  #heartbeat(): void {
    this.#cancelHeartbeat = this.#options.clock.after(HEARTBEAT_MS, () => {
      if (this.#failure) return;
      for (const group of this.#groups) {
        // With something outstanding the heartbeat also asks again for acks, which are cumulative.
        const waiting = this.#tracker.pgcl(group.pg) < this.#tracker.lastLsnOf(group.pg);
        if (group.shippedVdl === this.#durable() && !waiting) continue;
        const head = group.shipHead(this.#state.record.volumeEpoch, this.#points(group));
        for (const { node } of group.members) {
          if (group.isFenced(node)) this.#links.get(node)?.send(MESSAGE.SHIP, [head]);
        }
      }
      this.#heartbeat();
    });
  }

  #onAck(link: NodeLink, ack: Ack): void {
    const group = this.#serving ? this.#groups[ack.pg] : undefined;
    if (!group || ack.volume !== this.#state.record.volumeId) return;
    if (ack.volumeEpoch !== this.#state.record.volumeEpoch) return;
    const place = group.placeOf(link.node);
    if (place < 0 || !group.isFenced(link.node)) return;
    group.coalescedTo(place, ack.coalesced);
    this.#progress(group, place, ack.scl);
  }

  #progress(group: Group, place: number, scl: Lsn): void {
    const advanced = this.#tracker.acknowledged(group.pg, place, scl);
    group.outbox.forget(this.#tracker.pgcl(group.pg));
    if (!advanced) return;
    this.#allocator.durable(this.#tracker.vdl);
    this.#durability.advance(this.durable);
    this.#room.wake();
  }

  #onRefused(link: NodeLink, refused: ShipRefused): void {
    if (refused.code === 'STORAGE_STALE_EPOCH') {
      this.#fail(this.#fencedError(Number(refused.volumeEpoch)));
      return;
    }
    // The node has not heard of this writer or of a range: fence it again, which tells it both.
    const group = this.#groups[refused.pg];
    if (!group) return;
    group.markFenced(link.node, false);
    this.#options.clock.after(HEARTBEAT_MS, () => void (link.up && this.#fenceOne(group, link)));
  }

  #upLink(group: Group, place: number): NodeLink | undefined {
    const { node } = must(group.members[place]);
    const link = this.#links.get(node);
    return link?.up && group.isFenced(node) ? link : undefined;
  }

  #durable(): Lsn {
    return this.#tracker.vdl;
  }

  #fencedBy(error: CodedError): never {
    const fenced = this.#fencedError(Number(error.detail['volumeEpoch'] ?? 0));
    this.#fail(fenced);
    throw fenced;
  }

  #fencedError(newer: number): CodedError {
    const { volumeId, volumeEpoch } = this.#state.record;
    return volumeErrors.VOLUME_FENCED([volumeId, volumeEpoch, newer]);
  }

  #fail(error: CodedError, options: { quiet?: boolean } = {}): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#serving = false;
    this.#durability.fail(error);
    this.#room.fail(error);
    if (!options.quiet) this.#options.onFailed?.(error);
  }

  #demandAlive(): void {
    assert(!this.#failure || this.#failure instanceof Error);
    if (this.#failure) throw this.#failure;
  }
}
