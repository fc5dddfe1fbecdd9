/**
 * The segments of a node, and how they come back from its log. Replay applies the same facts as serving did, in the same
 * order, except that the newest manifest is known from the start: what lies below its floors may have been dropped.
 */
import type { Epoch, Lsn, PgIndex, VolumeId } from '@rokka/kernel';
import { isCoded } from '@rokka/kernel';
import * as control from './control-state.ts';
import { laterEpoch } from './control-state.ts';
import { storageErrors } from './errors.ts';
import { ingestRecords, type IngestTarget } from './ingest.ts';
import { ENTRY, getU64, RECORDS_HEAD_BYTES } from './log-format.ts';
import type { LogReplay } from './log-replay.ts';
import type { SegmentAddress } from './messages.ts';
import { higher, Segment } from './segment.ts';

export class SegmentSet {
  readonly #byId = new Map<number, Segment>();
  /** In two steps: a name made of both for each ship would have to be hashed each time. */
  readonly #byAddress = new Map<VolumeId, Map<PgIndex, Segment>>();
  readonly #droppedEpochs = new Map<VolumeId, Epoch>();
  nextId = 1;
  /** The log lost entries that nothing later states: which segments were here is unknown. */
  incomplete = false;

  get all(): Iterable<Segment> {
    return this.#byId.values();
  }

  get count(): number {
    return this.#byId.size;
  }

  byId(id: number): Segment | undefined {
    return this.#byId.get(id);
  }

  find(address: SegmentAddress): Segment | undefined {
    return this.#byAddress.get(address.volume)?.get(address.pg);
  }

  /** @throws STORAGE_NO_SEGMENT */
  get(address: SegmentAddress): Segment {
    const segment = this.find(address);
    if (!segment) throw storageErrors.STORAGE_NO_SEGMENT([address.volume, address.pg]);
    return segment;
  }

  add(segment: Segment): Segment {
    this.#byId.set(segment.id, segment);
    const ofVolume = this.#byAddress.get(segment.volume) ?? new Map<PgIndex, Segment>();
    this.#byAddress.set(segment.volume, ofVolume.set(segment.pg, segment));
    this.nextId = Math.max(this.nextId, segment.id + 1);
    return segment;
  }

  /** A dropped segment obeyed this epoch. */
  noteDropped({ volume, volumeEpoch }: { volume: VolumeId; volumeEpoch: Epoch }): void {
    this.#droppedEpochs.set(volume, laterEpoch(volumeEpoch, this.#droppedEpochs.get(volume) ?? volumeEpoch));
  }

  /** The highest epoch of the volume that anything here obeys or obeyed: whoever comes with less was replaced. */
  epochOf(volume: VolumeId): Epoch {
    let epoch = this.#droppedEpochs.get(volume) ?? (0 as Epoch);
    for (const segment of this.all)
      if (segment.volume === volume) epoch = laterEpoch(epoch, segment.volumeEpoch);
    return epoch;
  }

  /** The node gives it up; its number is never used again. */
  remove(segment: Segment): void {
    this.noteDropped(segment);
    this.#byId.delete(segment.id);
    const ofVolume = this.#byAddress.get(segment.volume);
    if (ofVolume?.get(segment.pg) === segment) ofVolume.delete(segment.pg);
    if (ofVolume?.size === 0) this.#byAddress.delete(segment.volume);
    segment.dropped = true;
  }

  manifest(): Uint8Array {
    const segments = [...this.#byId.values()].map((segment) => segment.control());
    const { nextId: nextSegmentId, incomplete } = this;
    const dropped = [...this.#droppedEpochs].map(([volume, volumeEpoch]) => ({ volume, volumeEpoch }));
    return control.encodeManifest({ nextSegmentId, incomplete, dropped, segments });
  }
}

export interface LogDamage {
  file: number;
  offset: number;
}

/** Fills a set from the log. */
export class SegmentReplay implements LogReplay {
  readonly damages: LogDamage[] = [];
  readonly #set: SegmentSet;
  readonly #target: ReplayTarget;
  /** Segments below this number that the newest manifest does not name were dropped: older entries bring none of them back. */
  #dropsBelow = 0;
  readonly #named = new Set<number>();

  /** @param note called for each record that is kept, with the file it lies in */
  constructor(set: SegmentSet, note: (file: number, segment: number, lsn: Lsn) => void) {
    this.#set = set;
    this.#target = new ReplayTarget(note);
  }

  newestManifest(body: Uint8Array): void {
    const manifest = control.decodeManifest(body);
    this.#set.nextId = manifest.nextSegmentId;
    this.#dropsBelow = manifest.nextSegmentId;
    for (const state of manifest.segments) {
      this.#named.add(state.id);
      this.#set.add(new Segment(state));
    }
  }

  entry(type: number, body: Uint8Array, place: { file: number; offset: number }): void {
    switch (type) {
      case ENTRY.RECORDS:
        return this.#records(body, place);
      case ENTRY.CREATE_SEGMENT:
        return this.#create(control.decodeControl(body));
      case ENTRY.EPOCH: {
        const { id, ranges, members, ...epochs } = control.decodeEpochEntry(body);
        const segment = this.#segment(id);
        segment?.truncate(ranges);
        return segment?.adoptEpochs(epochs, members);
      }
      case ENTRY.TRUNCATE: {
        const { id, range } = control.decodeTruncateEntry(body);
        return this.#segment(id)?.truncate([range]);
      }
      case ENTRY.COALESCED: {
        const { id, generation } = control.decodeCoalescedEntry(body);
        const segment = this.#segment(id);
        if (segment && generation.number > segment.generation.number) segment.completeGeneration(generation);
        return;
      }
      case ENTRY.MANIFEST:
        return this.#manifest(control.decodeManifest(body));
      case ENTRY.COPIED: {
        const { id, ...copied } = control.decodeCopiedEntry(body);
        const segment = this.#segment(id);
        if (segment && copied.generation.number > segment.generation.number) segment.copied(copied);
        return;
      }
      case ENTRY.DROP: {
        const segment = this.#segment(control.decodeDropEntry(body));
        return segment && this.#set.remove(segment);
      }
      default:
        throw storageErrors.STORAGE_DIRECTORY_VERSION(['log', `an entry of type ${type}`, 'types up to 8']);
    }
  }

  /** Until a later manifest says what had been acknowledged, anything may have been. */
  damaged(file: number, offset: number): void {
    this.damages.push({ file, offset });
    this.#set.incomplete = true;
    for (const segment of this.#set.all) segment.requiredScl = control.SCL_UNKNOWN;
  }

  /**
   * One whose creation was in a damaged batch is not there. Its number is not given away: what is said of it here would be
   * said of another one at the next start.
   */
  #segment(id: number): Segment | undefined {
    this.#set.nextId = Math.max(this.#set.nextId, id + 1);
    return this.#set.byId(id);
  }

  #create(state: control.SegmentControl): void {
    if (!this.#set.byId(state.id) && !this.#isGone(state.id)) this.#set.add(new Segment(state));
  }

  #isGone(id: number): boolean {
    return id < this.#dropsBelow && !this.#named.has(id);
  }

  #manifest(manifest: control.Manifest): void {
    this.#set.incomplete = manifest.incomplete;
    for (const dropped of manifest.dropped) this.#set.noteDropped(dropped);
    for (const state of manifest.segments) {
      if (this.#isGone(state.id)) continue;
      const segment = this.#set.byId(state.id) ?? this.#set.add(new Segment(state));
      segment.truncate(state.ranges);
      segment.adoptEpochs(state, state.members);
      segment.learnPoints({ vdl: state.vdl });
      segment.requiredScl =
        this.damages.length > 0 ? higher(state.acknowledgedScl, state.heldThrough) : state.acknowledgedScl;
    }
  }

  #records(body: Uint8Array, place: { file: number; offset: number }): void {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    // A segment whose creation was in a damaged batch is unknown; `incomplete` stands for it.
    const segment = this.#segment(view.getUint32(0, true));
    if (!segment) return;
    segment.learnPoints({ vdl: getU64(view, 4) as Lsn });
    this.#target.begin(segment.id, place);
    try {
      ingestRecords(segment, body.subarray(RECORDS_HEAD_BYTES), this.#target);
    } catch (error) {
      if (!isCoded(error)) throw error;
      // Ranges that are known now forbid what was taken then: the others were taken.
      if (error.code !== 'STORAGE_RANGE_MISSED') segment.fault = error;
    }
  }
}

/** At replay the records lie in their file already. */
class ReplayTarget implements IngestTarget {
  file = 0;
  #segment = 0;
  #offset = 0;
  readonly #note: (file: number, segment: number, lsn: Lsn) => void;

  constructor(note: (file: number, segment: number, lsn: Lsn) => void) {
    this.#note = note;
  }

  begin(segment: number, place: { file: number; offset: number }): void {
    this.#segment = segment;
    this.file = place.file;
    this.#offset = place.offset + RECORDS_HEAD_BYTES;
  }

  reserve(_segment: number, _vdl: Lsn, _length: number, at: number): number {
    return this.#offset + at;
  }

  put(_record: Uint8Array, lsn: Lsn): void {
    this.#note(this.file, this.#segment, lsn);
  }
}
