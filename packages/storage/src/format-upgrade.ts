/**
 * What earlier formats of the data directory looked like, and how they are read: the only place that knows. A batch says in
 * which format its entries are; those of an earlier one are rewritten here before anybody looks at them.
 *
 * Format 1 had no change of members, no copies from peers and no dropping: an EPOCH entry ended after its ranges, a control
 * state after its generation.
 *
 * A directory is upgraded when it is opened. Its log goes on in format 2, in a new file that begins with a manifest, and
 * identity.json says 2 when that is durable: a program that knows format 1 alone refuses the directory from then on.
 */
import type { PageNumber, PgIndex, VolumeId } from '@rokka/kernel';
import { encodeControl, encodeManifest, readGeneration, SCL_UNKNOWN } from './control-state.ts';
import type { Manifest, SegmentControl } from './control-state.ts';
import { ENTRY } from './log-format.ts';
import { MessageReader } from './message-fields.ts';

const NO_MEMBERS = new Uint8Array(2);

/** The body of an entry as this program writes it. */
export function upgradedBody(version: number, type: number, body: Uint8Array): Uint8Array {
  if (version > 1) return body;
  if (type === ENTRY.EPOCH) return Buffer.concat([body, NO_MEMBERS]);
  if (type === ENTRY.CREATE_SEGMENT) return encodeControl(readControl1(new MessageReader(0, body)));
  if (type === ENTRY.MANIFEST) return encodeManifest(readManifest1(body));
  return body;
}

function readManifest1(body: Uint8Array): Manifest {
  const r = new MessageReader(0, body);
  const nextSegmentId = r.u32();
  const incomplete = r.u8() !== 0;
  const segments = Array.from({ length: r.u32() }, () => readControl1(r));
  return { nextSegmentId, incomplete, dropped: [], segments };
}

function readControl1(r: MessageReader): SegmentControl {
  const id = r.u32();
  return {
    volume: r.string() as VolumeId,
    pg: r.u16() as PgIndex,
    volumeEpoch: r.epoch(),
    membershipEpoch: r.epoch(),
    id,
    kind: r.kind(),
    firstPage: r.count() as PageNumber,
    pageCount: r.count(),
    members: r.members(),
    ranges: r.ranges(),
    vdl: r.lsn(),
    logFloor: r.lsn(),
    acknowledgedScl: r.lsn(),
    // Format 1 did not say what waited above holes: where its log is damaged, nobody knows what was acknowledged.
    heldThrough: SCL_UNKNOWN,
    generation: readGeneration(r),
    readFloor: 0 as SegmentControl['readFloor'],
    hydration: undefined,
  };
}
