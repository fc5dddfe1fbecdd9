/**
 * What a storage node does with its disk, without any network: the segments, their log and their pages. Calls are
 * synchronous; what must be durable before it is answered takes a continuation, which runs after the flush that covers it.
 */
import {
  assert,
  mutant,
  type Clock,
  type CodedError,
  type Disk,
  type Lsn,
  type NodeId,
  type Random,
  type Zone,
} from '@rokka/kernel';
import { describeError, isCoded } from '@rokka/kernel';
import { Coalescer } from './coalescer.ts';
import * as control from './control-state.ts';
import { storageErrors } from './errors.ts';
import { Foreground } from './foreground.ts';
import { DIRECTORY_FORMAT, markReady, openIdentity, type Identity } from './identity.ts';
import { ingestRecords } from './ingest.ts';
import { diskError } from './log-files.ts';
import { ENTRY } from './log-format.ts';
import { LogReader } from './log-reader.ts';
import { StorageLog } from './log.ts';
import { includesNode, sameAddresses } from './membership.ts';
import type * as m from './messages.ts';
import { MESSAGE } from './messages.ts';
import { PageDirectory } from './page-directory.ts';
import { readVersions, readPages } from './page-reader.ts';
import { SegmentReplay, SegmentSet, type LogDamage } from './segment-set.ts';
import { describeSegment, readRecords } from './segment-reader.ts';
import { Segment } from './segment.ts';
import { DEFAULT_TUNING, type StoreTuning } from './store-tuning.ts';

export interface StoreOptions {
  disk: Disk;
  /** Made if it is not there. */
  directory: string;
  cluster: string;
  zone: Zone;
  /** Where the caller knows which node this must be. */
  node?: NodeId | undefined;
  clock: Clock;
  random: Random;
  /** The node cannot go on; called once. */
  onFailure: (error: CodedError) => void;
  /** A segment's durable SCL has advanced, whoever brought the records. */
  onAdvance?: (segment: Segment) => void;
  /** Something of a segment cannot be read any more: `segment.wounds` or `segment.lostPages`. */
  onDamage?: (segment: Segment) => void;
  /** Takes lines for people. */
  log?: ((line: string) => void) | undefined;
  tuning?: Partial<StoreTuning> | undefined;
}

/** A segment that was dropped needs nothing of the log. */
const DROPPED = Number.MAX_SAFE_INTEGER as Lsn;
/** Page numbers within a segment are u32 on disk. */
const SEGMENT_PAGES_MAX = 2 ** 32 - 1;

export class SegmentStore implements Disposable {
  readonly identity: Identity;
  readonly segments = new SegmentSet();
  readonly log: StorageLog;
  readonly coalescer: Coalescer;
  readonly damages: readonly LogDamage[];
  /** When the node last did something that somebody waits for. */
  readonly foreground: Foreground;
  readonly tuning: StoreTuning;
  readonly #options: StoreOptions;
  readonly #reader: LogReader;
  readonly #pages: PageDirectory;
  /** Segments whose chain is ahead of what is durable. */
  readonly #unsettled = new Set<Segment>();

  /**
   * Opens the directory, or makes it.
   * @throws STORAGE_DIRECTORY_VERSION, STORAGE_DIRECTORY_FOREIGN, STORAGE_DIRECTORY_EMPTIED, STORAGE_DISK_FULL,
   * STORAGE_DISK_FAILED
   */
  constructor(options: StoreOptions) {
    this.#options = options;
    const { disk, directory, clock } = options;
    const tuning = { ...DEFAULT_TUNING, ...options.tuning };
    this.tuning = tuning;
    this.foreground = new Foreground(clock);
    this.#pages = new PageDirectory(disk, directory);
    const identity = openIdentity(options);
    this.log = new StorageLog({
      disk,
      directory: `${directory}/log`,
      identity: Buffer.from(identity.log, 'hex'),
      fileBytes: tuning.logFileBytes,
      batchBytes: tuning.logBatchBytes,
      clock,
      manifest: () => this.segments.manifest(),
      onRotated: () => this.#rotated(),
      onStopped: (error) => this.#fail(error),
      onStalled: (error) => this.#say(error),
    });
    this.#reader = new LogReader(this.log);
    this.coalescer = new Coalescer({
      log: this.log,
      reader: this.#reader,
      clock,
      segments: () => this.segments.all,
      segmentOf: (id) => this.segments.byId(id),
      ...tuning,
      onDamage: (segment, error) => this.noteDamage(segment, error),
      onFailure: (error) => this.#fail(error),
    });
    try {
      this.damages = identity.ready ? this.#replay() : (this.log.create(), []);
      const current = identity.ready && identity.version === DIRECTORY_FORMAT;
      // A log of an earlier format goes on in a file that begins with a manifest of this one.
      if (identity.ready && !current) this.log.rotate();
      this.identity = current ? identity : markReady(disk, directory, identity);
    } catch (error) {
      this[Symbol.dispose]();
      throw isCoded(error) ? error : diskError(error, directory);
    }
  }

  /**
   * `done` runs when everything said to the store so far is on the disk, and after the SCLs say so: whoever asked before
   * the last record of a batch came would otherwise answer with an SCL that is behind what the batch has made durable.
   */
  whenDurable(done: () => void): void {
    this.log.whenDurable(() => {
      this.#settle();
      done();
    });
  }

  /**
   * @throws STORAGE_BAD_MESSAGE, STORAGE_STALE_EPOCH, STORAGE_STALE_MEMBERSHIP, STORAGE_SEGMENT_UNKNOWN, and what the log
   * throws
   */
  createSegment(message: m.CreateSegment, done: () => void): void {
    const { volume, pg, kind, pageCount, anew } = message;
    const found = this.segments.find(message);
    const leftOver = found?.givesWayTo(message) ? found : undefined;
    const known = leftOver ? undefined : found;
    const bad = (why: string) => storageErrors.STORAGE_BAD_MESSAGE([MESSAGE.CREATE_SEGMENT, why]);
    if (known && known.kind !== kind)
      throw bad(`volume ${volume}, protection group ${pg} is ${known.kind} here`);
    if (pageCount < 1 || pageCount > SEGMENT_PAGES_MAX) throw bad(`${pageCount} pages`);
    if (known) return this.whenDurable(done);
    this.#demandLatest(message);
    // It may have been here and lost what it acknowledged; under this identity it must not come back empty.
    if (this.segments.incomplete && !anew) throw storageErrors.STORAGE_SEGMENT_UNKNOWN([volume, pg]);
    if (leftOver) this.#discard(leftOver);
    this.#make(message, message.hydrate ? control.newcomer(0 as Lsn) : undefined);
    this.whenDurable(done);
  }

  /** @throws STORAGE_NO_SEGMENT, STORAGE_STALE_EPOCH …, STORAGE_SEGMENT_BUSY, and what the log throws */
  startOver(message: m.StartOver, done: (segment: Segment) => void): void {
    const segment = this.segments.find(message);
    if (!segment && !this.segments.incomplete)
      throw storageErrors.STORAGE_NO_SEGMENT([message.volume, message.pg]);
    segment?.demandEpochs('start over', message);
    // One that never got anything, or knows nothing any more, may be of another kind: left by a writer that died while it made the group.
    const isOther = segment !== undefined && segment.kind !== message.kind;
    if (isOther && !segment.isUntouched && !segment.damaged)
      throw storageErrors.STORAGE_BAD_MESSAGE([
        MESSAGE.START_OVER,
        `volume ${message.volume}, protection group ${message.pg} is ${segment.kind} here`,
      ]);
    if (!segment || isOther) {
      this.#demandLatest(message);
      if (segment) this.#discard(segment);
      const made = this.#make(message, control.newcomer(message.required));
      return this.whenDurable(() => done(made));
    }
    if (!segment.startsOver(message.dropped)) return this.whenDurable(() => done(segment));
    // A generation that is on its way is carried through; the writer asks again.
    if (segment.pageFile?.busy || segment.settling)
      throw storageErrors.STORAGE_SEGMENT_BUSY([message.volume, message.pg]);
    segment.life++;
    const { generation, readFloor } = segment;
    const entry = {
      generation: { ...generation, number: generation.number + 1 },
      readFloor,
      hydration: control.newcomer(message.required),
    };
    this.copied(segment, entry, () => done(segment));
  }

  #make(message: m.SegmentFacts, hydration: control.Hydration | undefined): Segment {
    const zero = 0 as Lsn;
    const state: control.SegmentControl = {
      ...message,
      id: this.segments.nextId,
      ranges: [],
      vdl: zero,
      logFloor: zero,
      acknowledgedScl: zero,
      heldThrough: zero,
      generation: control.NO_GENERATION,
      readFloor: zero,
      hydration,
    };
    const segment = new Segment(state);
    try {
      this.#pages.open(segment);
      if (segment.pageFile) this.#pages.syncNames();
      this.log.append(ENTRY.CREATE_SEGMENT, control.encodeControl(state));
    } catch (error) {
      segment.pageFile?.[Symbol.dispose]();
      throw diskError(error, this.#options.directory);
    }
    return this.segments.add(segment);
  }

  /**
   * Epochs, members and ranges are durable when `done` runs: only then may the segment's state be read for the answer.
   * @throws STORAGE_NO_SEGMENT, STORAGE_SEGMENT_UNKNOWN, STORAGE_STALE_EPOCH, STORAGE_STALE_MEMBERSHIP,
   * STORAGE_NOT_A_MEMBER, STORAGE_MEMBERSHIP_CONFLICT, QUORUM_RANGE_BELOW_DURABLE, and what the log throws
   */
  fence(message: m.Fence, done: (segment: Segment) => void): void {
    const { volume, pg } = message;
    if (this.segments.incomplete && !this.segments.find(message))
      throw storageErrors.STORAGE_SEGMENT_UNKNOWN([volume, pg]);
    const segment = this.segments.get(message);
    const { node } = this.identity;
    const { members, membershipEpoch, ranges } = message;
    const isRetired = members.length > 0 && !includesNode(members, node);
    if (isRetired && message.volumeEpoch >= segment.volumeEpoch) segment.learnRetirement(membershipEpoch);
    segment.demandFence(message, node);
    const decided = ranges.some((range) => range.volumeEpoch === message.volumeEpoch);
    if (mutant('read-then-fence') && !decided) return this.whenDurable(() => done(segment));
    const onlyMembers = message.volumeEpoch === segment.volumeEpoch && !decided;
    const news = membershipEpoch > segment.membershipEpoch || !sameAddresses(members, segment.members);
    this.adoptRanges(segment, ranges, message, news ? members : []);
    if (mutant('fence-not-durable') || (mutant('membership-not-durable') && onlyMembers))
      return done(segment);
    this.whenDurable(() => done(segment));
  }

  /**
   * Gives a segment up that the group no longer needs; OK where there is none. Durable when `done` runs; its pages go then.
   * @throws STORAGE_STALE_EPOCH, STORAGE_STALE_MEMBERSHIP, STORAGE_STILL_A_MEMBER, and what the log throws
   */
  dropSegment(message: m.DropSegment, done: () => void): void {
    const segment = this.segments.find(message);
    if (!segment) return this.whenDurable(done);
    const { node } = this.identity;
    const { volumeEpoch, membershipEpoch, members } = message;
    const detail = { detail: segment.refusalDetail };
    if (volumeEpoch < segment.volumeEpoch)
      throw storageErrors.STORAGE_STALE_EPOCH(['drop', volumeEpoch, segment.volumeEpoch], detail);
    if (membershipEpoch <= segment.membershipEpoch)
      throw storageErrors.STORAGE_STALE_MEMBERSHIP([membershipEpoch, segment.membershipEpoch], detail);
    if (members.length === 0 || includesNode(members, node))
      throw storageErrors.STORAGE_STILL_A_MEMBER([node, membershipEpoch], detail);
    this.#discard(segment);
    this.whenDurable(done);
  }

  #discard(segment: Segment): void {
    this.log.append(ENTRY.DROP, control.encodeDropEntry(segment.id));
    this.segments.remove(segment);
    this.#unsettled.delete(segment);
    segment.pageFile?.[Symbol.dispose]();
    this.whenDurable(() => this.#pages.remove((id) => id === segment.id));
  }

  /** @throws STORAGE_STALE_EPOCH, STORAGE_UNFENCED, STORAGE_STALE_MEMBERSHIP, QUORUM_RANGE_BELOW_DURABLE … */
  truncate(message: m.Truncate, done: () => void): void {
    const segment = this.segments.get(message);
    segment.demandEpochs('truncation', message);
    segment.demandEpochs('truncation range', { ...message, volumeEpoch: message.range.volumeEpoch });
    segment.truncate([message.range]);
    this.log.append(ENTRY.TRUNCATE, control.encodeTruncateEntry({ id: segment.id, range: message.range }));
    this.#unsettle(segment);
    this.whenDurable(done);
  }

  /** Takes ranges, and epochs with them, that were decided in the registry. Durable with the next flush. */
  adoptRanges(
    segment: Segment,
    ranges: readonly m.TruncationRange[],
    epochs: m.Epochs,
    members: readonly m.MemberAddress[] = [],
  ): void {
    const body = control.encodeEpochEntry({ ...epochs, id: segment.id, ranges, members });
    this.log.makeRoom(body);
    segment.truncate(ranges);
    this.log.append(ENTRY.EPOCH, body);
    segment.adoptEpochs(epochs, members);
    this.#unsettle(segment);
  }

  /**
   * Copies from peers have taken a step. It counts at once where nobody is told of it, which is so until the last one;
   * `done` runs when it is durable.
   */
  copied(segment: Segment, entry: Omit<control.CopiedEntry, 'id'>, done: () => void): void {
    this.log.append(ENTRY.COPIED, control.encodeCopiedEntry({ id: segment.id, ...entry }));
    const begins = entry.hydration !== undefined;
    if (begins) segment.copied(entry);
    else segment.settling = true;
    this.#unsettle(segment);
    this.whenDurable(() => {
      if (!begins) {
        segment.copied(entry);
        segment.settling = false;
      }
      done();
    });
  }

  /**
   * Takes note of an error that says that something cannot be read any more. What else the segment has is served as before;
   * whoever mends it is told.
   */
  noteDamage(segment: Segment, error: CodedError): void {
    const { lsn, page } = error.detail as { lsn?: Lsn; page?: number };
    const isRecord = error.code === 'STORAGE_LOG_DAMAGED' && lsn !== undefined;
    const isPage = error.code === 'STORAGE_PAGE_UNKNOWN' && page !== undefined;
    if (isRecord) {
      if (segment.wounds.has(lsn) || !segment.chain.index.has(lsn)) return;
      segment.wounds.add(lsn);
    } else if (isPage) {
      if (segment.lostPages.has(page - segment.firstPage)) return;
      segment.lostPages.add(page - segment.firstPage);
    } else {
      return;
    }
    this.#say(error);
    this.#options.onDamage?.(segment);
  }

  /** The disk has failed under somebody who works with the store: the node cannot go on. */
  fail(error: CodedError): void {
    this.#fail(error);
  }

  /** Tells the writer how far a segment is. */
  announce(segment: Segment): void {
    this.#options.onAdvance?.(segment);
  }

  /** Takes a ship in; it is durable with the next flush. @throws what it is refused for, perhaps after a prefix was taken */
  ship(message: m.Ship): Segment {
    const segment = this.segments.get(message);
    segment.demandEpochs('ship', message);
    segment.demandSound();
    segment.learnPoints(message);
    this.foreground.note();
    if (message.records.length > 0) this.ingest(segment, message.records);
    return segment;
  }

  /** Records from a peer, or of a ship. Durable with the next flush. Answers how many were new. */
  ingest(segment: Segment, records: Uint8Array): number {
    if (this.log.failure) throw this.log.failure;
    try {
      return ingestRecords(segment, records, this.log);
    } finally {
      this.#unsettle(segment);
    }
  }

  /** The contents lie in `memory` where it is given. @throws STORAGE_STALE_EPOCH …, and what readVersions throws */
  read(message: m.Read, memory?: Uint8Array): m.ReadAnswer {
    const segment = this.segments.get(message);
    segment.demandEpochs('read', message);
    this.foreground.note();
    const { versions, failed } = this.#noting(segment, () =>
      readVersions(segment, this.#reader, message, memory),
    );
    if (failed) this.noteDamage(segment, failed);
    return versions;
  }

  /** @throws STORAGE_STALE_EPOCH …, STORAGE_LOG_DROPPED, STORAGE_LOG_DAMAGED, STORAGE_SEGMENT_UNKNOWN, STORAGE_HYDRATING */
  fetch(message: m.Fetch): Uint8Array {
    const segment = this.segments.get(message);
    segment.demandEpochs('fetch', message);
    segment.demandComplete();
    return this.#noting(segment, () => readRecords(segment, this.#reader, message));
  }

  /** @throws STORAGE_STALE_EPOCH …, and what readPages throws */
  pages(message: m.Pages, memory: Buffer): m.PagesAnswer {
    const segment = this.segments.get(message);
    segment.demandEpochs('copy of pages', message);
    return this.#noting(segment, () => readPages(segment, message, memory));
  }

  /** @throws STORAGE_STALE_EPOCH, STORAGE_UNFENCED, STORAGE_STALE_MEMBERSHIP */
  peerState(message: m.PeerState): m.SegmentState {
    const segment = this.segments.get(message);
    segment.demandEpochs('peer state', message);
    return this.describe(segment, { withTail: false });
  }

  describe(segment: Segment, options: { withTail: boolean }): m.SegmentState {
    try {
      return this.#noting(segment, () => describeSegment(segment, this.#reader, options));
    } catch (error) {
      if (!isCoded(error, 'STORAGE_LOG_DAMAGED')) throw error;
      // It counts as unknown now, so nobody asks for its tail.
      return describeSegment(segment, this.#reader, { withTail: false });
    }
  }

  /** Writes what pends, where the disk lets it, and lets go of all files. */
  [Symbol.dispose](): void {
    this.coalescer.close();
    if (!this.log.failure && this.segments.count > 0) this.#lastFlush();
    for (const segment of this.segments.all) segment.pageFile?.[Symbol.dispose]();
    this.log[Symbol.dispose]();
  }

  #lastFlush(): void {
    try {
      this.log.flush();
    } catch (error) {
      // Nothing of it was acknowledged.
      if (!isCoded(error)) throw error;
    }
  }

  #replay(): readonly LogDamage[] {
    const replay = new SegmentReplay(this.segments, (file, segment, lsn) =>
      this.log.note(file, segment, lsn),
    );
    this.log.open(replay);
    for (const segment of this.segments.all) {
      segment.durableScl = segment.chain.scl;
      this.#pages.open(segment);
      if (segment.pagesFault) this.#say(segment.pagesFault);
    }
    // Left over by a crash between a segment's end and that of its files; what may be unknown is kept, and so is its number.
    if (this.segments.incomplete)
      this.segments.nextId = Math.max(this.segments.nextId, this.#pages.highest + 1);
    else this.#pages.remove((id) => !this.segments.byId(id)?.pageFile);
    if ([...this.segments.all].some(({ pageFile }) => pageFile)) this.#pages.syncNames();
    for (const { file, offset } of replay.damages)
      this.#say(storageErrors.STORAGE_LOG_DAMAGED([this.log.path(file), offset]));
    // The verdict must outlive the damaged file.
    if (replay.damages.length > 0) this.log.rotate();
    return replay.damages;
  }

  /** A writer that was replaced and wakes up would make an empty one where another was dropped, or never was. */
  #demandLatest({ volume, volumeEpoch }: m.SegmentFacts): void {
    const obeyed = this.segments.epochOf(volume);
    if (volumeEpoch >= obeyed) return;
    const detail = { volumeEpoch: obeyed };
    throw storageErrors.STORAGE_STALE_EPOCH(['segment', volumeEpoch, obeyed], { detail });
  }

  #unsettle(segment: Segment): void {
    if (this.#unsettled.size === 0) this.log.whenDurable(() => this.#settle());
    this.#unsettled.add(segment);
  }

  #settle(): void {
    if (this.#unsettled.size === 0) return;
    const settled = [...this.#unsettled];
    this.#unsettled.clear();
    for (const segment of settled) {
      assert(segment.durableScl <= segment.chain.scl, 'an SCL fell without a truncation');
      if (segment.durableScl === segment.chain.scl) continue;
      segment.durableScl = segment.chain.scl;
      this.#options.onAdvance?.(segment);
    }
    this.coalescer.consider();
  }

  #fail(error: CodedError): void {
    this.#say(error);
    this.#options.onFailure(error);
  }

  #say(error: CodedError): void {
    this.#options.log?.(describeError(error));
  }

  #rotated(): void {
    for (const segment of this.segments.all) segment.floorIsDurable();
    this.log.dropFiles((id) => this.segments.byId(id)?.manifestFloor ?? DROPPED);
  }

  #noting<T>(segment: Segment, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isCoded(error)) this.noteDamage(segment, error);
      throw error;
    }
  }
}
