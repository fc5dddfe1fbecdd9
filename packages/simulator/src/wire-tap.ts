/**
 * Listens on the network and says what the frames mean. Answers do not name what they answer, so requests are remembered by
 * connection and id until then.
 */
import { must, type NodeId, type PgIndex } from '@rokka/kernel';
import * as storage from '@rokka/storage';
import { MESSAGE } from '@rokka/storage';
import type { Frame, Lane, NetworkObserver } from '@rokka/transport';
import type { SimEvent } from './events.ts';
import { seenRecords } from './seen-records.ts';

type Asked =
  | { readonly type: typeof MESSAGE.FENCE | typeof MESSAGE.START_OVER; readonly head: Head }
  | { readonly type: typeof MESSAGE.PEER_STATE | typeof MESSAGE.FETCH; readonly head: Head }
  | { readonly type: typeof MESSAGE.READ; readonly head: storage.Read }
  | { readonly type: typeof MESSAGE.PAGES; readonly head: storage.Pages };

type Head = storage.SegmentAddress & storage.Epochs;

const REQUESTS: readonly number[] = [MESSAGE.PEER_STATE, MESSAGE.READ, MESSAGE.FETCH, MESSAGE.PAGES];
const REQUESTS_MAX = 2 ** 32;

export class WireTap implements NetworkObserver {
  readonly #emit: (event: SimEvent) => void;
  readonly #isNode: (name: string) => boolean;
  readonly #asked = new Map<number, Asked>();
  /** Answers with records that are on their way. */
  readonly #fetched = new Map<number, PgIndex>();
  readonly #announced = new Map<string, string>();

  constructor(options: { emit: (event: SimEvent) => void; isNode: (name: string) => boolean }) {
    this.#emit = options.emit;
    this.#isNode = options.isNode;
  }

  sent(lane: Lane, frame: Frame): void {
    const { type, body } = frame;
    const key = lane.connection * REQUESTS_MAX + frame.requestId;
    switch (type) {
      case MESSAGE.FENCE: {
        const head = storage.decodeFence(body);
        this.#tell(lane, 'fence', head);
        return void this.#asked.set(key, { type, head });
      }
      case MESSAGE.CREATE_SEGMENT:
        return this.#tell(lane, 'create', storage.decodeCreateSegment(body));
      case MESSAGE.START_OVER: {
        const head = storage.decodeStartOver(body);
        this.#tell(lane, 'start over', head);
        return void this.#asked.set(key, { type, head });
      }
      case MESSAGE.DROP_SEGMENT:
        return this.#tell(lane, 'drop', storage.decodeDropSegment(body));
      case MESSAGE.PEER_STATE:
        return this.#ask(lane, key, { type, head: storage.decodePeerState(body) });
      case MESSAGE.READ:
        return this.#ask(lane, key, { type, head: storage.decodeRead(body) });
      case MESSAGE.FETCH:
        return this.#ask(lane, key, { type, head: storage.decodeFetch(body) });
      case MESSAGE.PAGES:
        return this.#ask(lane, key, { type, head: storage.decodePages(body) });
      case MESSAGE.SHIP:
        for (const ship of storage.decodeShips(body)) this.#announce(lane, ship);
        return;
      case MESSAGE.ACK:
        for (const ack of storage.decodeAcks(body)) this.#acknowledged(lane, ack);
        return;
      case MESSAGE.SHIP_REFUSED: {
        const { code } = storage.decodeShipRefused(body);
        return this.#emit({ kind: 'refused', node: lane.from as NodeId, to: lane.to, code });
      }
      case MESSAGE.ERROR:
        if (this.#asked.delete(key)) {
          const { code } = storage.decodeError(body);
          this.#emit({ kind: 'refused', node: lane.from as NodeId, to: lane.to, code });
        }
        return;
      case MESSAGE.OK:
        return this.#answered(lane, key, body);
    }
  }

  delivered(lane: Lane, frame: Frame): void {
    const request = lane.connection * REQUESTS_MAX + frame.requestId;
    const asked = REQUESTS.includes(frame.type) ? this.#asked.get(request) : undefined;
    if (asked) {
      const { pg } = asked.head;
      this.#emit({ kind: 'reached', node: lane.to as NodeId, from: lane.from, pg, request });
    }
    if (frame.type === MESSAGE.SHIP) {
      for (const { pg, records } of storage.decodeShips(frame.body))
        if (records.length > 0) this.#deliver(lane, pg, records);
    } else if (frame.type === MESSAGE.OK) {
      const key = lane.connection * REQUESTS_MAX + frame.requestId;
      const pg = this.#fetched.get(key);
      if (pg === undefined) return;
      this.#fetched.delete(key);
      // A recovery that fetches passes them on as a ship.
      if (this.#isNode(lane.to)) this.#deliver(lane, pg, frame.body);
    }
  }

  #acknowledged(lane: Lane, ack: storage.Ack): void {
    const { pg, volumeEpoch: epoch, membershipEpoch, scl, coalesced } = ack;
    const node = lane.from as NodeId;
    this.#emit({ kind: 'ack', node, to: lane.to, pg, epoch, membershipEpoch, scl, coalesced });
  }

  #deliver(lane: Lane, pg: PgIndex, records: Uint8Array): void {
    this.#emit({
      kind: 'delivered',
      node: lane.to as NodeId,
      from: lane.from,
      pg,
      records: seenRecords(records),
    });
  }

  #tell(
    lane: Lane,
    by: 'create' | 'start over' | 'fence' | 'drop',
    head: Head & { members: storage.MemberAddress[] },
  ): void {
    const { pg, volumeEpoch, membershipEpoch, members } = head;
    this.#emit({
      kind: 'membership-told',
      by,
      writer: lane.from,
      node: lane.to as NodeId,
      pg,
      epoch: volumeEpoch,
      membershipEpoch,
      members: members.map(({ node, kind, zone }) => ({ node, kind, zone })),
    });
  }

  #ask(lane: Lane, key: number, asked: Asked): void {
    this.#asked.set(key, asked);
    if (!this.#isNode(lane.from)) return;
    const { pg, volumeEpoch: epoch, membershipEpoch } = asked.head;
    const node = lane.from as NodeId;
    this.#emit({ kind: 'asked', node, to: lane.to as NodeId, pg, epoch, membershipEpoch });
  }

  #announce(lane: Lane, ship: storage.Ship): void {
    const { pg, volumeEpoch, vdl, pgmrpl, logFloor } = ship;
    if (vdl === 0) return;
    const writer = lane.from;
    const said = `${vdl} ${pgmrpl} ${logFloor}`;
    if (this.#announced.get(`${writer}/${pg}`) === said) return;
    this.#announced.set(`${writer}/${pg}`, said);
    this.#emit({ kind: 'announced', writer, epoch: volumeEpoch, pg, vdl, pgmrpl, logFloor });
  }

  #answered(lane: Lane, key: number, body: Uint8Array): void {
    const asked = this.#asked.get(key);
    if (!asked) return;
    this.#asked.delete(key);
    const node = lane.from as NodeId;
    const { to } = lane;
    const { pg, volumeEpoch: epoch, membershipEpoch } = asked.head;
    const isOrder = asked.type === MESSAGE.FENCE || asked.type === MESSAGE.START_OVER;
    if (!isOrder) this.#emit({ kind: 'served', node, to, pg, epoch, membershipEpoch, request: key });
    if (asked.type === MESSAGE.READ) {
      const { pages, readPoint } = asked.head;
      for (const [at, version] of storage.decodeReadAnswer(body).entries())
        this.#emit({ kind: 'read-answer', node, to, pg, epoch, page: pages[at], readPoint, ...version });
    } else if (asked.type === MESSAGE.PAGES) {
      const { firstPage } = asked.head;
      const { nextPage, coalesced } = storage.decodePagesAnswer(body);
      this.#emit({ kind: 'gave-pages', node, to, pg, from: firstPage, next: nextPage, coalesced });
    } else if (asked.type === MESSAGE.FETCH) {
      this.#fetched.set(key, pg);
      this.#emit({ kind: 'gave', node, to, pg, epoch, records: seenRecords(body) });
    } else {
      const of = isOrder ? 'fence' : 'peer';
      const anew = asked.type === MESSAGE.START_OVER;
      this.#emit({ kind: 'state', node, to, of, anew, state: must(storage.decodeSegmentState(body)) });
    }
  }
}
