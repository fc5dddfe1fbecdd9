/**
 * A record of the log that has rotted at rest is written once more, at the end of the log, from a peer's copy. The index
 * knows what it must be: its LSN, the one before it in the chain, its page, its length. A new file with a manifest comes
 * first, because a replay will find the damaged batch again, and only what a later manifest states is certain then
 * (log-replay.ts).
 */
import type { Clock, Lsn } from '@rokka/kernel';
import { readRecordHeader, RECORD_BYTES_MAX, recordIsSound } from '@rokka/quorum';
import { durably } from './durably.ts';
import { FLAG_VOLUME_DENSE } from './ingest.ts';
import * as codec from './message-codec.ts';
import { MESSAGE } from './messages.ts';
import { headOf, REQUEST_MS, type SoundPeer } from './peer-clients.ts';
import type { IndexedRecord } from './record-index.ts';
import { atSameEpochs, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface RepairOptions {
  store: SegmentStore;
  clock: Clock;
  signal: AbortSignal;
  peers: Iterable<SoundPeer>;
  /** Takes note of why a peer gave nothing. @throws what is no error of the world */
  onPeerFailed(peer: SoundPeer, error: unknown): void;
}

/** Answers how many were repaired. @throws what the log throws, the signal's reason */
export async function repairRecords(segment: Segment, options: RepairOptions): Promise<number> {
  const copies = new Map<Lsn, Uint8Array>();
  for (const lsn of segment.wounds) {
    const copy = await copyOf(segment, lsn, options);
    if (copy) copies.set(lsn, copy);
    options.signal.throwIfAborted();
  }
  if (copies.size > 0) options.store.log.rotate();
  return rewriteRecords(segment, copies, options);
}

/**
 * Writes records of the chain once more, behind a manifest that the caller has had written, and has the index point to where
 * they lie now; those that have left the chain meanwhile are passed over. Answers how many were written.
 */
export async function rewriteRecords(
  segment: Segment,
  copies: ReadonlyMap<Lsn, Uint8Array>,
  options: Pick<RepairOptions, 'store' | 'signal'>,
): Promise<number> {
  const { store, signal } = options;
  const { log } = store;
  const places = new Map<Lsn, { file: number; offset: number }>();
  for (const lsn of segment.wounds) if (!segment.chain.index.has(lsn)) segment.wounds.delete(lsn);
  if (segment.dropped) return 0;
  for (const [lsn, record] of copies) {
    if (!isTheRecord(segment, lsn, record)) continue;
    const offset = log.reserve(segment.id, segment.vdl, record.length);
    places.set(lsn, { file: log.file, offset });
    log.put(record, lsn);
  }
  if (places.size === 0) return 0;
  await durably(signal, (done) =>
    store.whenDurable(() => {
      relocate(segment, places);
      done();
    }),
  );
  return places.size;
}

function relocate(segment: Segment, places: ReadonlyMap<Lsn, { file: number; offset: number }>): void {
  const { index } = segment.chain;
  for (const [lsn, place] of places) {
    const ordinal = index.find(lsn);
    if (ordinal !== undefined) index.relocate(ordinal, place);
    segment.wounds.delete(lsn);
  }
}

/** The record as some peer has it. */
async function copyOf(
  segment: Segment,
  lsn: Lsn,
  { peers, onPeerFailed }: RepairOptions,
): Promise<Uint8Array | undefined> {
  for (const peer of peers) {
    const { client, state } = peer;
    if (state.logFloor >= lsn || state.scl < lsn) continue;
    const fetch = { ...headOf(segment), after: (lsn - 1) as Lsn, through: lsn, limitBytes: RECORD_BYTES_MAX };
    try {
      const record = await client.request(MESSAGE.FETCH, [codec.encodeFetch(fetch)], {
        timeoutMs: REQUEST_MS,
      });
      if (atSameEpochs(segment, fetch) && isTheRecord(segment, lsn, record)) return record;
    } catch (error) {
      onPeerFailed(peer, error);
      // Another one may have it; when none has, the record stays wounded and is asked for again.
    }
  }
  return undefined;
}

/** Whether the bytes are the record that the chain has under this LSN. */
function isTheRecord(segment: Segment, lsn: Lsn, record: Uint8Array): boolean {
  const { index, base } = segment.chain;
  const ordinal = index.find(lsn);
  if (ordinal === undefined || !recordIsSound(record)) return false;
  const place: IndexedRecord = { lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
  index.read(ordinal, place);
  const header = readRecordHeader(new DataView(record.buffer, record.byteOffset, record.byteLength), 0);
  const previous = ordinal > index.first ? index.lsnAt(ordinal - 1) : base;
  return (
    header.lsn === lsn &&
    header.previousPgLsn === previous &&
    header.pg === segment.pg &&
    header.page - segment.firstPage === place.page &&
    header.length === place.length &&
    header.flags === (place.flags & ~FLAG_VOLUME_DENSE)
  );
}
