/**
 * The writer of a volume. Open it (which fences every earlier writer for good), append mini-transactions, wait for them, read pages.
 *
 * - Nothing but the progress tracker decides what is durable; `durable` is the VDL.
 * - No timer on the way of a commit: what somebody waits for leaves at the end of the turn of the event loop (shipping.ts).
 * - A member whose buffer is full, or that is away, fills its holes by gossip; only what is at no write quorum is sent again.
 * - A volume that has failed stays failed: its owner must end, so that nothing goes on with writes that may be lost.
 */
import { isCoded, must, mutant } from '@rokka/kernel';
import type { CodedError, Lsn, NodeId, PageNumber, PgIndex } from '@rokka/kernel';
import { LsnAllocator, ProgressTracker } from '@rokka/quorum';
import type { Ack, SegmentState, ShipRefused } from '@rokka/storage';
import { DurabilityWaiters, RoomWaiters } from './durability.ts';
import { volumeErrors } from './errors.ts';
import { Fencer } from './fencing.ts';
import { Group, SHIP_BYTES_MAX, type GroupPoints } from './group.ts';
import { makeGroup } from './growth.ts';
import type { Inheritance, VolumeBase } from './inheritance.ts';
import { LogTap } from './log-tap.ts';
import { Members } from './members.ts';
import type { Replacement } from './membership-changes.ts';
import type { NodeLink, NodeLinkEvents } from './node-link.ts';
import { NodeLinks } from './node-links.ts';
import { PageReader } from './page-reader.ts';
import { readRuns } from './read-runs.ts';
import type { Ticket } from './page-store.ts';
import type { AsyncRecordSink } from './record-sink.ts';
import { openInheritance, recoverOpened } from './opening.ts';
import { saysTakenOver } from './refusals.ts';
import { claim, takeUp } from './take-over.ts';
import { Sealer } from './sealer.ts';
import { Shipper } from './shipping.ts';
import { deleteVolume } from './volume-deletion.ts';
import { OUTSTANDING_BYTES_MAX, OUTSTANDING_RECORDS_MAX, type VolumeOptions } from './volume-options.ts';
import type { GroupRecord } from './volume-record.ts';
import { VolumeState } from './volume-state.ts';
import { describeGroup, type VolumeStatus } from './volume-status.ts';

export class Volume implements AsyncRecordSink, AsyncDisposable {
  readonly #options: VolumeOptions;
  readonly #state: VolumeState;
  readonly #links: NodeLinks;
  readonly #groups: Group[] = [];
  readonly #reader: PageReader;
  readonly #durability = new DurabilityWaiters();
  readonly #room = new RoomWaiters();
  /** The durable log, for whoever keeps it elsewhere. */
  readonly tap: LogTap;
  /** Of a clone that may have pages which only its base has. */
  #inheritance: Inheritance | undefined;
  #tracker!: ProgressTracker;
  #allocator!: LsnAllocator;
  #sealer!: Sealer;
  #shipper!: Shipper;
  readonly #fencer: Fencer;
  readonly #members: Members;
  #serving = false;
  #failure: CodedError | undefined;
  #growing: Promise<void> | undefined;

  private constructor(options: VolumeOptions, state: VolumeState) {
    this.#options = options;
    this.#state = state;
    state.onLate = () => this.#onLate();
    this.#links = new NodeLinks({ ...options, events: this.#linkEvents() });
    this.#fencer = new Fencer({
      clock: options.clock,
      state,
      log: options.log,
      standingOf: (group) => this.#members.standing(group),
      logFloorOf: (group) => this.#points(group).logFloor,
      isServing: () => this.#serving,
      sclOf: (group, node) => this.#sclOf(group, node),
      onFenced: (group, ...of) => this.#onFenced(group, ...of),
      onForgot: (group, node) => this.#tracker.forgot(group.pg, group.placeOf(node)),
      onTakenOver: (error) => this.#takenOver(error),
    });
    this.#reader = new PageReader({
      clock: options.clock,
      random: options.random,
      volumeEpoch: state.record.volumeEpoch,
      linkTo: (group, node) => this.#upLink(group, node),
      sclOf: (group, node) => this.#sclOf(group, node),
      onTakenOver: (error) => this.#takenOver(error),
      demandAlive: () => this.#demandAlive(),
    });
    this.tap = new LogTap({
      record: () => state.record,
      tracker: () => this.#tracker,
      groups: this.#groups,
      linkTo: (group, node) => this.#upLink(group, node),
      sclOf: (group, node) => this.#sclOf(group, node),
      demandAlive: () => this.#demandAlive(),
      onTakenOver: (error) => this.#takenOver(error),
    });
    this.#members = new Members({
      ...options,
      state,
      groups: this.#groups,
      links: this.#links,
      onEntered: (group) => this.#onEntered(group),
      // Who went back is found out by a fence: each connection begins with one.
      onHydrated: (group, link, answer) => this.#onFenced(group, link, answer),
      onStranded: (group, ...of) => this.#fencer.refill(group, ...of),
      onTakenOver: (error) => this.#takenOver(error),
      demandAlive: () => this.#demandAlive(),
    });
  }

  /** Makes a volume of no pages in the registry; its first protection group comes with the first opening. */
  static readonly create = VolumeState.create;

  /** Deletes a volume for good, in steps that may be repeated. */
  static readonly delete = deleteVolume;

  /**
   * Opens the volume for writing: fences every earlier writer, recovers, and serves.
   * @throws VOLUME_NONE, VOLUME_NO_QUORUM, VOLUME_INTERRUPTED
   */
  static async open(options: VolumeOptions): Promise<Volume> {
    const opening = options.opening ?? options.random.hex(8);
    const state = await VolumeState.takeOver(options.registry, options.volumeId, { ...options, opening });
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
    const lastLsn = (firstLsn + recordCount - 1) as Lsn;
    const runs = this.#sealer.seal(mtr, recordCount, firstLsn);
    this.#options.ramLog?.keep(mtr, { recordCount, lastLsn, durable: this.#durable() });
    for (const run of runs) {
      for (let lsn = run.firstLsn; lsn <= run.lastLsn; lsn++)
        this.#tracker.allocated(run.pg, lsn, lsn === lastLsn);
      must(this.#groups[run.pg]).outbox.add(run);
    }
    this.#inheritance?.appended(mtr);
    this.tap.appendedBytes += mtr.length;
    this.#shipper.appended(mtr.length, { awaited: this.#durability.waiting || this.#room.waiting });
    return lastLsn as number as Ticket;
  }

  readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[] {
    return this.#inheritance?.readMany(pages, (some) => this.#readOwn(some)) ?? this.#readOwn(pages);
  }

  #readOwn(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[] {
    const readPoint = this.#tracker.vdl;
    return [...readRuns(pages, (page) => this.#sealer.pgOf(page))].flatMap((run) => {
      const group = must(this.#groups[this.#sealer.pgOf(run[0])], 'page is not mapped');
      const requiredScl = mutant('read-point-not-translated')
        ? readPoint
        : this.#tracker.lastLsnAtOrBelow(group.pg, readPoint);
      return this.#reader.read(group, { pages: run, readPoint, requiredScl });
    });
  }

  read(page: PageNumber): Promise<Uint8Array | undefined> {
    return this.readMany([page])[0];
  }

  giveBack(content: Uint8Array): void {
    this.#reader.giveBack(content);
  }

  inherits(page: PageNumber): boolean {
    return this.#inheritance?.has(page) === true;
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
      const room = this.#room.wait();
      this.#shipper.awaited();
      await room;
    }
  }

  whenDurable(ticket: Ticket): Promise<void> {
    if (this.#serving && ticket > this.durable) this.#shipper.awaited();
    return this.#durability.wait(ticket, this.durable);
  }

  /**
   * Replacements of members, where somebody wants one; the healer does the rest. Each step is decided in the registry first.
   * @throws QUORUM_NOT_A_MEMBER, QUORUM_WRONG_PLACE, QUORUM_NOT_SETTLED and others of quorum/membership.ts,
   * VOLUME_CHANGE_BUSY, VOLUME_CHANGE_LATE
   */
  replacement(pg: PgIndex): Replacement {
    return this.#members.changes.of(must(this.#groups[pg], 'no such protection group'));
  }

  status(): VolumeStatus {
    const { volumeId, volumeEpoch } = this.#state.record;
    const { shippedBytes, shippedWrites } = this.#shipper;
    return {
      volumeId,
      volumeEpoch,
      vcl: this.#tracker.vcl,
      vdl: this.#tracker.vdl,
      lastLsn: this.applied,
      outstandingBytes: this.#allocator.outstandingBytes,
      shipped: { shippedBytes, shippedWrites },
      groups: this.#groups.map((group) => describeGroup(group, this.#links, this.#tracker)),
    };
  }

  /** What it was made of, while pages may be there alone; undefined where everything is on the storage nodes. */
  get base(): VolumeBase | undefined {
    return this.#state.record.base;
  }

  /** Every page of the base was written here, durably: the base is needed no more. @throws VOLUME_INTERRUPTED */
  async ownsAll(): Promise<void> {
    await this.#state.ownsAll();
    this.#inheritance = undefined;
  }

  /** Stops writing. What is not durable yet may be lost: wait for `whenDurable(applied)` first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(volumeErrors.VOLUME_CLOSED([this.#options.volumeId]), { quiet: true });
    await this.#links[Symbol.asyncDispose]();
  }

  async #open(): Promise<void> {
    const { record } = this.#state;
    claim(this.#options, record.volumeEpoch);
    const inheritance = openInheritance(this.#options, record);
    for (const { node } of record.nodes) this.#links.to(node);
    for (const group of record.groups) this.#groups.push(this.#group(group));
    for (const { members } of this.#groups) for (const { node } of members) this.#links.to(node);
    for (const { retired } of record.groups) for (const node of retired) this.#links.to(node);
    const start = await recoverOpened(this.#options, {
      state: this.#state,
      groups: this.#groups,
      links: this.#links,
      changes: this.#members.changes,
    });
    // A node that takes part in nothing yet may have said meanwhile that another writer came.
    this.#demandAlive();
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
      allocationLimit: Math.min(record.lsnAllocationLimitMax, OUTSTANDING_RECORDS_MAX),
    });
    this.#sealer = new Sealer({
      volume: record,
      lastVolumeLsn: start.vdl,
      lastPgLsn: start.groups.map(({ lastLsn }) => lastLsn),
    });
    this.#shipper = new Shipper({
      clock: this.#options.clock,
      volumeEpoch: record.volumeEpoch,
      groups: this.#groups,
      links: this.#links,
      pointsOf: (group) => this.#points(group),
      hasNews: (group) => this.#hasNews(group),
      crowded: this.#options.crowded ?? false,
      shipBytesMax: this.#options.shipBytesMax ?? SHIP_BYTES_MAX,
      sclOf: (group, node) => this.#sclOf(group, node),
      pgclOf: (group) => this.#tracker.pgcl(group.pg),
    });
    this.#members.start(this.#tracker);
    this.#serving = true;
    for (const link of this.#links.values()) this.#fenceAll(link);
    await this.grow(Math.max(1, record.base?.pages ?? 0));
    this.#inheritance = await inheritance;
    await takeUp(this, { ...this.#options, volumeEpoch: record.volumeEpoch, vdl: start.vdl });
  }

  #linkEvents(): NodeLinkEvents {
    return {
      onUp: (link) => this.#fenceAll(link),
      onDown: (link) => {
        for (const group of this.#groups) group.markUnfenced(link.node);
        if (this.#serving) this.#shipper.forget(link.node);
      },
      onDrain: (link) => {
        if (this.#serving) this.#shipper.drained(link);
      },
      onAck: (link, ack) => this.#onAck(link, ack),
      onRefused: (link, refused) => this.#onRefused(link, refused),
    };
  }

  #group(record: Pick<GroupRecord, 'pg' | 'membership'>): Group {
    const { volumeId, pagesPerGroup } = this.#state.record;
    const { addressOf, holdsLog } = this.#options;
    const group = new Group({ ...record, volume: volumeId, pagesPerGroup, addressOf });
    if (holdsLog) group.heldAfter = 0 as Lsn;
    return group;
  }

  #tracked(group: Group) {
    const members = group.members.map(({ node }) => node as string);
    return { pg: group.pg, members, write: group.roster.formulas.write };
  }

  #fenceAll(link: NodeLink): void {
    for (const group of this.#groups) this.#fencer.fence(group, link);
  }

  /** A member obeys (again): learn where it stands, send it what may be nowhere else. */
  #onFenced(group: Group, link: NodeLink, answer: SegmentState, acknowledged = 0): void {
    if (!answer.hydrating && answer.scl < acknowledged) {
      // It acknowledged more than it holds: its disk lies, or is an old copy. What else it lacks nobody knows.
      group.markUnfenced(link.node);
      group.unfencedReasons.set(link.node, 'VOLUME_SEGMENT_WENT_BACK');
      return;
    }
    this.#shipper.catchUp(group, link, answer.scl);
    if (answer.hydrating) return;
    group.coalescedTo(link.node, answer.coalesced);
    this.#progress(group, group.placeOf(link.node), answer.scl);
  }

  /** Everything is counted by the next membership from here on, and its members hear of it. */
  #onEntered(group: Group): void {
    const lastLsn = this.#tracker.lastLsnOf(group.pg);
    if (this.#tracker.setGroup({ ...this.#tracked(group), lastLsn })) this.#advanced();
    for (const { node } of group.members) this.#fencer.fence(group, this.#links.to(node));
  }

  #sclOf(group: Group, node: NodeId): Lsn | undefined {
    const place = group.placeOf(node);
    return place < 0 || group.isHydrating(node) ? undefined : this.#tracker.scl(group.pg, place);
  }

  /** Maps one more protection group: its segments first, at a write quorum; then the registry; only then may LSNs go there. */
  async #addGroup(): Promise<void> {
    const pg = this.#groups.length as PgIndex;
    try {
      const fresh = await makeGroup(pg, {
        clock: this.#options.clock,
        state: this.#state,
        links: this.#links,
        group: (of) => this.#group(of),
        demandAlive: () => this.#demandAlive(),
      });
      if (!fresh) return;
      const { group, made, left } = fresh;
      const missing = group.members.map(({ node }) => node).filter((node) => !made.has(node));
      const stores = Object.fromEntries([...made].map((node) => [node, this.#links.to(node).store]));
      await this.#state.addGroup({ pg, membership: group.roster.membership, missing, retired: left }, stores);
      this.#demandAlive();
      if (this.#groups.length === pg) this.#enterGroup(group, made);
    } catch (error) {
      throw isCoded(error) && saysTakenOver(error) ? this.#takenOver(error) : error;
    }
  }

  #enterGroup(group: Group, made: ReadonlySet<NodeId>): void {
    this.#groups.push(group);
    this.#sealer.addGroup();
    const scls = new Map([...made].map((node) => [node as string, 0 as Lsn]));
    this.#tracker.setGroup({ ...this.#tracked(group), lastLsn: 0 as Lsn, scls });
    for (const { node } of group.members) this.#fencer.fence(group, this.#links.to(node));
  }

  /** The registry has made changes after all that were given up: groups and members are what it says. */
  #onLate(): void {
    if (!this.#serving) return;
    this.#members.changes.enterLate();
    for (const record of this.#state.record.groups.slice(this.#groups.length))
      this.#enterGroup(this.#group(record), new Set());
  }

  #points(group: Group): GroupPoints {
    const vdl = this.#durable();
    const logFloor = group.logFloor((place) => this.#tracker.scl(group.pg, place));
    const pgmrpl = this.#reader.points.pgmrpl(vdl);
    return { vdl, pgmrpl, logFloor: Math.min(vdl, logFloor) as Lsn };
  }

  #hasNews(group: Group): boolean {
    const { pg, announcedVdl } = group;
    const waiting = this.#tracker.pgcl(pg) < this.#tracker.lastLsnOf(pg);
    return waiting || announcedVdl < this.#tracker.lastLsnAtOrBelow(pg, this.#durable());
  }

  #onAck(link: NodeLink, ack: Ack): void {
    const group = this.#serving ? this.#groups[ack.pg] : undefined;
    if (!group || ack.volume !== this.#state.record.volumeId) return;
    if (ack.volumeEpoch !== this.#state.record.volumeEpoch) return;
    const place = group.countedPlaceOf(link.node);
    if (place < 0) return;
    group.coalescedTo(link.node, ack.coalesced);
    this.#progress(group, place, ack.scl);
  }

  #progress(group: Group, place: number, scl: Lsn): void {
    const advanced = this.#tracker.acknowledged(group.pg, place, scl);
    group.outbox.forget(this.#tracker.pgcl(group.pg));
    if (advanced) this.#advanced();
  }

  #advanced(): void {
    this.#allocator.durable(this.#tracker.vdl);
    this.#durability.advance(this.durable);
    this.#room.wake();
  }

  #onRefused(link: NodeLink, refused: ShipRefused): void {
    if (refused.volume !== this.#state.record.volumeId) return;
    if (refused.code === 'STORAGE_STALE_EPOCH') return this.#fail(this.#fencedError(refused.volumeEpoch));
    // The node has not heard of this writer or of a range, or could not take it: fence it again, which tells it both.
    const group = this.#groups[refused.pg];
    if (!group) return;
    group.markUnfenced(link.node);
    group.unfencedReasons.set(link.node, refused.code);
    // One that only missed the last change of members hears of it at once; any other reason may come again.
    if (refused.code === 'STORAGE_STALE_MEMBERSHIP') this.#fencer.fence(group, link);
    else this.#fencer.fenceLater(group, link);
  }

  #upLink(group: Group, node: NodeId): NodeLink | undefined {
    const link = this.#links.get(node);
    return link?.up && group.isFenced(node) ? link : undefined;
  }

  #durable(): Lsn {
    return this.#tracker.vdl;
  }

  /** @returns the error that everybody gets from here on */
  #takenOver(cause: CodedError): CodedError {
    this.#fail(this.#fencedError(Number(cause.detail['volumeEpoch'] ?? 0), cause));
    return must(this.#failure);
  }

  #fencedError(newer: number, cause?: CodedError): CodedError {
    const { volumeId, volumeEpoch } = this.#state.record;
    // Where the registry told us, the other writer's epoch is unknown; it is at least the next one.
    return volumeErrors.VOLUME_FENCED([volumeId, volumeEpoch, newer || volumeEpoch + 1], { cause });
  }

  #fail(error: CodedError, options: { quiet?: boolean } = {}): void {
    if (this.#failure) return;
    this.#failure = error;
    if (this.#serving) this.#shipper.stop();
    this.#members.stop();
    this.#state.end();
    this.#options.ramLog?.end();
    this.#serving = false;
    this.#durability.fail(error);
    this.#room.fail(error);
    if (!options.quiet) this.#options.onFailed?.(error);
  }

  #demandAlive(): void {
    if (this.#failure) throw this.#failure;
  }
}
