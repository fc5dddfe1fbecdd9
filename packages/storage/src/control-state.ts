/**
 * What a node must remember of each segment beside its records, and the log entries that carry it. Every entry states a
 * fact that only ever grows (a higher epoch, one more range, a later generation), so replaying them in any order and
 * more than once gives the same state.
 */
import { ByteWriter } from '@rokka/kernel';
import type { Epoch, Lsn, PageNumber, PgIndex, VolumeId } from '@rokka/kernel';
import { MessageReader, writeMembers, writeRange, writeRanges } from './message-fields.ts';
import type { Epochs, MemberAddress, SegmentAddress, SegmentKind, TruncationRange } from './messages.ts';

/** One completed coalescing generation of a full segment, as its COALESCED entry states it. */
export interface Generation {
  number: number;
  /** The pages contain every record of the chain up to here. */
  lsn: Lsn;
  /** Pages that have a slot, and the XOR of their entries' checksums: proof that the entry table is the one written. */
  livePages: number;
  tableDigest: number;
}

export const NO_GENERATION: Generation = { number: 0, lsn: 0 as Lsn, livePages: 0, tableDigest: 0 };

/**
 * How far a segment has come that is filled with what its peers hold (hydration.ts). The log and the pages that it has
 * begin after `generation.lsn`.
 */
export interface Hydration {
  /** A newcomer has no history and says nothing of an SCL yet; a rebuild has lost its pages and keeps its log. */
  reason: 'newcomer' | 'rebuild';
  /** Whether `generation.lsn` has been chosen yet. */
  begun: boolean;
  /** Pages below this one, counted from the segment's first, are here. */
  nextPage: number;
  /** SCL that it must reach before it counts. Before it has begun: what it may have acknowledged in an earlier life. */
  target: Lsn;
}

/** It counts when it holds what its peers do, and everything up to `required`. */
export function newcomer(required: Lsn): Hydration {
  return { reason: 'newcomer', begun: false, nextPage: 0, target: required };
}

/** An SCL that no chain reaches: the segment may have acknowledged anything, so it is unknown until it starts over. */
export const SCL_UNKNOWN = Number.MAX_SAFE_INTEGER as Lsn;

export interface SegmentControl extends SegmentAddress, Epochs {
  /** Short name within this log. */
  id: number;
  kind: SegmentKind;
  firstPage: PageNumber;
  pageCount: number;
  members: MemberAddress[];
  ranges: readonly TruncationRange[];
  vdl: Lsn;
  /** The last record that may be missing from the log. */
  logFloor: Lsn;
  /** SCL when this was written: a log that gives less on replay has lost something. */
  acknowledgedScl: Lsn;
  /**
   * The highest LSN that was here when this was written, above holes too. A record that waited above a hole may be part of
   * what was acknowledged later; so where something before this was lost, the chain must reach as far before it counts.
   */
  heldThrough: Lsn;
  generation: Generation;
  /** A page may contain records up to here, because it came from a peer: no read below is right. */
  readFloor: Lsn;
  hydration: Hydration | undefined;
}

/** Everything that outlives the log files before the one it opens. */
export interface Manifest {
  nextSegmentId: number;
  /** The log once lost entries that nothing later states: segments may have existed here that are now unknown. */
  incomplete: boolean;
  /** The highest volume epoch that a dropped segment of each volume obeyed: no earlier writer may make one anew. */
  dropped: { volume: VolumeId; volumeEpoch: Epoch }[];
  segments: SegmentControl[];
}

export interface EpochEntry extends Epochs {
  id: number;
  ranges: readonly TruncationRange[];
  /** Those of the membership epoch; none where they have not changed. */
  members: readonly MemberAddress[];
}

/** Pages have come from a peer, or the hydration of the segment has taken a step. Ordered by the number of the generation. */
export interface CopiedEntry {
  id: number;
  generation: Generation;
  readFloor: Lsn;
  hydration: Hydration | undefined;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const w = new ByteWriter(1024).u32(manifest.nextSegmentId).u8(manifest.incomplete ? 1 : 0);
  w.u32(manifest.segments.length);
  for (const segment of manifest.segments) writeControl(w, segment);
  w.u32(manifest.dropped.length);
  for (const { volume, volumeEpoch } of manifest.dropped) w.string(volume).u32(volumeEpoch);
  return w.finish();
}

export function decodeManifest(body: Uint8Array): Manifest {
  const r = new MessageReader(0, body);
  const nextSegmentId = r.u32();
  const incomplete = r.u8() !== 0;
  const segments = Array.from({ length: r.u32() }, () => readControl(r));
  const dropped = Array.from({ length: r.u32() }, () => ({
    volume: r.string() as VolumeId,
    volumeEpoch: r.epoch(),
  }));
  return { nextSegmentId, incomplete, dropped, segments };
}

export function encodeControl(control: SegmentControl): Uint8Array {
  return writeControl(new ByteWriter(512), control).finish();
}

export function decodeControl(body: Uint8Array): SegmentControl {
  return readControl(new MessageReader(0, body));
}

export function encodeEpochEntry(entry: EpochEntry): Uint8Array {
  const w = new ByteWriter(64).u32(entry.id).u32(entry.volumeEpoch).u32(entry.membershipEpoch);
  return writeMembers(writeRanges(w, entry.ranges), entry.members).finish();
}

export function decodeEpochEntry(body: Uint8Array): EpochEntry {
  const r = new MessageReader(0, body);
  return {
    id: r.u32(),
    volumeEpoch: r.epoch(),
    membershipEpoch: r.epoch(),
    ranges: r.ranges(),
    members: r.members(),
  };
}

export function encodeTruncateEntry(entry: { id: number; range: TruncationRange }): Uint8Array {
  return writeRange(new ByteWriter(32).u32(entry.id), entry.range).finish();
}

export function decodeTruncateEntry(body: Uint8Array): { id: number; range: TruncationRange } {
  const r = new MessageReader(0, body);
  return { id: r.u32(), range: r.range() };
}

export function encodeCoalescedEntry(entry: { id: number; generation: Generation }): Uint8Array {
  return writeGeneration(new ByteWriter(32).u32(entry.id), entry.generation).finish();
}

export function decodeCoalescedEntry(body: Uint8Array): { id: number; generation: Generation } {
  const r = new MessageReader(0, body);
  return { id: r.u32(), generation: readGeneration(r) };
}

export function encodeCopiedEntry(entry: CopiedEntry): Uint8Array {
  const w = writeGeneration(new ByteWriter(64).u32(entry.id), entry.generation).u64(entry.readFloor);
  return writeHydration(w, entry.hydration).finish();
}

export function decodeCopiedEntry(body: Uint8Array): CopiedEntry {
  const r = new MessageReader(0, body);
  return { id: r.u32(), generation: readGeneration(r), readFloor: r.lsn(), hydration: readHydration(r) };
}

export function encodeDropEntry(id: number): Uint8Array {
  return new ByteWriter(4).u32(id).finish();
}

export function decodeDropEntry(body: Uint8Array): number {
  return new MessageReader(0, body).u32();
}

function writeControl(w: ByteWriter, control: SegmentControl): ByteWriter {
  w.u32(control.id).string(control.volume).u16(control.pg);
  w.u32(control.volumeEpoch).u32(control.membershipEpoch);
  w.u8(control.kind === 'full' ? 1 : 2)
    .u64(control.firstPage)
    .u64(control.pageCount);
  writeRanges(writeMembers(w, control.members), control.ranges);
  w.u64(control.vdl).u64(control.logFloor).u64(control.acknowledgedScl).u64(control.heldThrough);
  writeGeneration(w, control.generation).u64(control.readFloor);
  return writeHydration(w, control.hydration);
}

function readControl(r: MessageReader): SegmentControl {
  return {
    id: r.u32(),
    volume: r.string() as VolumeId,
    pg: r.u16() as PgIndex,
    volumeEpoch: r.epoch(),
    membershipEpoch: r.epoch(),
    kind: r.kind(),
    firstPage: r.count() as PageNumber,
    pageCount: r.count(),
    members: r.members(),
    ranges: r.ranges(),
    vdl: r.lsn(),
    logFloor: r.lsn(),
    acknowledgedScl: r.lsn(),
    heldThrough: r.lsn(),
    generation: readGeneration(r),
    readFloor: r.lsn(),
    hydration: readHydration(r),
  };
}

const HYDRATION_REASONS = [undefined, 'newcomer', 'rebuild'] as const;

function writeHydration(w: ByteWriter, hydration: Hydration | undefined): ByteWriter {
  w.u8(HYDRATION_REASONS.indexOf(hydration?.reason));
  if (!hydration) return w;
  return w
    .u8(hydration.begun ? 1 : 0)
    .u64(hydration.nextPage)
    .u64(hydration.target);
}

function readHydration(r: MessageReader): Hydration | undefined {
  const reason = HYDRATION_REASONS[r.u8()];
  return reason && { reason, begun: r.u8() !== 0, nextPage: r.count(), target: r.lsn() };
}

export function writeGeneration(w: ByteWriter, generation: Generation): ByteWriter {
  return w.u64(generation.number).u64(generation.lsn).u32(generation.livePages).u32(generation.tableDigest);
}

export function readGeneration(r: MessageReader): Generation {
  return { number: r.count(), lsn: r.lsn(), livePages: r.u32(), tableDigest: r.u32() };
}

/** The higher of two epochs; a brand survives Math.max only by name. */
export function laterEpoch(a: Epoch, b: Epoch): Epoch {
  return a > b ? a : b;
}
