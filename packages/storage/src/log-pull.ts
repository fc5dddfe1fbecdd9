/**
 * Brings the log that a segment lacks from its peers: one of them where it lacks little, all that have it where it lacks
 * much, with several requests in flight. What comes goes through the same checks as what a writer ships.
 */
import type { Lsn } from '@rokka/kernel';
import { readRecordHeader, recordLengthAt, RECORD_BYTES_MAX } from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import * as codec from './message-codec.ts';
import { MESSAGE } from './messages.ts';
import { OrderedPull, type Piece } from './ordered-pull.ts';
import { headOf, REQUEST_MS, type PeerClients, type SoundPeer } from './peer-clients.ts';
import { atSameEpochs, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

/** Small enough that four segments that catch up at once do not fill a peer's send buffer. */
const FETCH_BYTES = 512 * 1024;
const FETCHES_IN_FLIGHT = 6;
/** About as many records as one answer holds where they are small; adapted from there. */
const STRIDE_LSNS = 2_048;
const STRIDE_LSNS_MAX = 1 << 20;

interface LogPiece extends Piece {
  records: Uint8Array;
}

/**
 * Pulls the records above the segment's SCL up to `through`. Answers how many were new. It ends early where the segment's
 * epochs change, or where what came does not lengthen its chain.
 *
 * @param peers those that reach as far
 * @throws the last peer's error, where none can give what is lacking; what the log throws
 */
export async function pullLog(options: {
  segment: Segment;
  through: Lsn;
  peers: readonly SoundPeer[];
  store: SegmentStore;
  clients: PeerClients;
}): Promise<number> {
  const { segment, through, peers, store, clients } = options;
  const { epochs } = segment;
  let taken = 0;
  let stuck = false;
  const pull = new OrderedPull<SoundPeer, LogPiece>({
    from: segment.chain.scl + 1,
    to: through + 1,
    sources: peers,
    stride: STRIDE_LSNS,
    strideMax: STRIDE_LSNS_MAX,
    window: FETCHES_IN_FLIGHT,
    pace: store.foreground.pace(),
    pieceBytes: FETCH_BYTES - RECORD_BYTES_MAX,
    request: (peer, from, to) => fetchPiece(segment, peer, { from, to }),
    // A fence may have come while we waited; then the answer is of a time that is over.
    goesOn: () => !stuck && !clients.closed && !segment.dropped && atSameEpochs(segment, epochs),
    onFailed: (peer, error) => clients.failed(peer.member, error),
    take: async ({ records }, rest) => {
      const before = segment.chain.scl;
      taken += store.ingest(segment, records);
      stuck = records.length > 0 && segment.chain.scl === before && before < lastLsnIn(records);
      await rest();
    },
  });
  await pull.run();
  return taken;
}

async function fetchPiece(
  segment: Segment,
  peer: SoundPeer,
  range: { from: number; to: number },
): Promise<LogPiece> {
  const { from, to } = range;
  const [after, through] = [(from - 1) as Lsn, (to - 1) as Lsn];
  const fetch = codec.encodeFetch({ ...headOf(segment), after, through, limitBytes: FETCH_BYTES });
  const records = await peer.client.request(MESSAGE.FETCH, [fetch], { timeoutMs: REQUEST_MS });
  // Whoever has room for one more record has none to add.
  const cut = records.length + RECORD_BYTES_MAX > FETCH_BYTES;
  const last = lastLsnIn(records);
  if (last > through || (cut && last <= after))
    throw storageErrors.STORAGE_BAD_MESSAGE([
      MESSAGE.FETCH,
      `records up to ${last} of (${after}, ${through}]`,
    ]);
  return { records, bytes: records.length, next: cut ? last + 1 : to };
}

/** 0 where there is none. Whether the records are whole is looked at when they are taken in. */
function lastLsnIn(records: Uint8Array): number {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let last = 0;
  for (let at = 0; at < records.length;) {
    const length = recordLengthAt(view, at);
    if (length === undefined) throw storageErrors.STORAGE_BAD_RECORD([at]);
    last = readRecordHeader(view, at).lsn;
    at += length;
  }
  return last;
}
