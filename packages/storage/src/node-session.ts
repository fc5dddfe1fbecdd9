/**
 * One connection to the node: decodes what it asks, lets the store do it, and answers when that is durable. A ship is
 * answered by one cumulative ACK a segment and flush, everything else by OK or ERROR.
 */
import { ByteReader, isCoded, mutant, type CodedError, type Epoch } from '@rokka/kernel';
import { type Connection, type ConnectionHandler, type Frame, placementOf } from '@rokka/transport';
import { storageErrors } from './errors.ts';
import * as codec from './message-codec.ts';
import { MESSAGE, STORAGE_PROTOCOL, type Ack, type Fence, type Ship, type StartOver } from './messages.ts';
import type { PagesServer } from './pages-server.ts';
import type { ReadsServer } from './reads-server.ts';
import { atSameEpochs, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface SessionHost {
  readonly store: SegmentStore;
  readonly reads: ReadsServer;
  readonly pages: PagesServer;
  /** The answer to STATUS: plain JSON. */
  status(): unknown;
  /** A segment was made: it may be able to get on now with what it lacks. */
  changed(): void;
  /** It obeys a later writer or membership: peers that refused it may answer now. */
  fenced(segment: Segment): void;
  /** A segment took a ship in: it may have found a hole. */
  shipped(segment: Segment): void;
  closed(session: NodeSession): void;
}

interface Unsent {
  readonly type: number;
  readonly requestId: number;
  readonly parts: readonly Uint8Array[];
  readonly onLeft: (() => void) | undefined;
}

/** Who may send these owns the volume. */
const FOR_HEADS: readonly number[] = [
  MESSAGE.SHIP,
  MESSAGE.CREATE_SEGMENT,
  MESSAGE.FENCE,
  MESSAGE.TRUNCATE,
  MESSAGE.DROP_SEGMENT,
  MESSAGE.START_OVER,
];
const NOTHING = new Uint8Array(0);
/** Answers that wait beside a full send buffer: about what a peer that catches up has in flight. */
const UNSENT_BYTES_MAX = 16 * 1024 * 1024;
/** A ship has about 1 MiB at most. */
const SHIP_MEMORY_BYTES_MAX = 2 * 1024 * 1024;
const SHIP_MEMORY_STEP_BYTES = 64 * 1024;

export class NodeSession implements ConnectionHandler {
  readonly connection: Connection;
  readonly #host: SessionHost;
  /** Segments that took something in since the last flush. */
  readonly #toAck = new Set<Segment>();
  /** Segments whose writer is at the other end. */
  readonly #written = new Set<Segment>();
  /** Of this connection, among those of the process. */
  readonly #name = Symbol('session');
  /** Of a caller that may have this volume and no other. */
  readonly #onlyVolume: string | undefined;
  #greeted = false;
  /** For ships that arrive in pieces, one after the other: memory of their own would be the collector's, megabytes of it a second. */
  #shipMemory = NOTHING;
  #unsent: Unsent[] = [];
  #unsentBytes = 0;
  #closed = false;

  constructor(connection: Connection, host: SessionHost) {
    this.connection = connection;
    this.#host = host;
    const { peerIdentity } = connection;
    this.#onlyVolume = peerIdentity && placementOf(peerIdentity)?.volume;
  }

  onFrame(_connection: Connection, frame: Frame): void {
    const { requestId } = frame;
    try {
      this.#demandRole(frame.type);
      if (this.#onlyVolume !== undefined) this.#demandVolume(frame, this.#onlyVolume);
      if (frame.type === MESSAGE.SHIP && this.#greeted) return this.#ships(frame.body);
      this.#request(frame.type, frame.body, requestId);
    } catch (error) {
      this.#refuse(requestId, error);
    }
  }

  memoryFor({ type, length }: { type: number; length: number }): Uint8Array | undefined {
    if (type !== MESSAGE.SHIP || !this.#greeted || length > SHIP_MEMORY_BYTES_MAX) return undefined;
    if (length > this.#shipMemory.length)
      this.#shipMemory = new Uint8Array(Math.ceil(length / SHIP_MEMORY_STEP_BYTES) * SHIP_MEMORY_STEP_BYTES);
    return this.#shipMemory.subarray(0, length);
  }

  /** The writer hears of every advance: what came by gossip may be the record that its commits wait for. */
  advanced(segment: Segment): void {
    if (this.#written.has(segment) && !this.#toAck.has(segment)) this.#sendAcks([segment]);
  }

  onDrain(): void {
    for (let next = this.#unsent[0]; next; next = this.#unsent[0]) {
      if (!this.connection.send(next.type, next.requestId, next.parts, next.onLeft)) return;
      this.#unsent.shift();
      this.#unsentBytes -= lengthOf(next.parts);
    }
  }

  onClose(): void {
    this.#closed = true;
    this.#unsent = [];
    this.#toAck.clear();
    this.#written.clear();
    this.#host.closed(this);
  }

  #request(type: number, body: Uint8Array, requestId: number): void {
    const { store } = this.#host;
    if (type === MESSAGE.HELLO) return this.#hello(body, requestId);
    if (!this.#greeted) throw storageErrors.STORAGE_BAD_MESSAGE([type, 'HELLO comes first']);
    switch (type) {
      case MESSAGE.CREATE_SEGMENT:
        return store.createSegment(codec.decodeCreateSegment(body), () => this.#changed(requestId));
      case MESSAGE.START_OVER:
        return this.#startOver(codec.decodeStartOver(body), requestId);
      case MESSAGE.FENCE:
        return this.#fence(codec.decodeFence(body), requestId);
      case MESSAGE.TRUNCATE:
        return store.truncate(codec.decodeTruncate(body), () => this.#answer(requestId, NOTHING));
      case MESSAGE.READ:
        return this.#host.reads.serve(codec.decodeRead(body), {
          isGone: () => this.#closed,
          answer: (answer, onLeft) =>
            this.#send(MESSAGE.OK, requestId, codec.encodeReadAnswer(answer), onLeft),
          refuse: (error) => this.#refuse(requestId, error),
        });
      case MESSAGE.FETCH:
        return this.#answer(requestId, store.fetch(codec.decodeFetch(body)));
      case MESSAGE.PEER_STATE: {
        const state = store.peerState(codec.decodePeerState(body));
        return this.#answer(requestId, codec.encodeSegmentState(state));
      }
      case MESSAGE.PAGES: {
        const message = codec.decodePages(body);
        return this.#host.pages.serve(message, {
          answer: (answer, onLeft) =>
            this.#send(MESSAGE.OK, requestId, codec.encodePagesAnswer(answer), onLeft),
          refuse: (error) => this.#refuse(requestId, error),
        });
      }
      case MESSAGE.DROP_SEGMENT:
        return store.dropSegment(codec.decodeDropSegment(body), () => this.#answer(requestId, NOTHING));
      case MESSAGE.STATUS:
        return this.#answer(requestId, Buffer.from(JSON.stringify(this.#host.status())));
      default:
        throw storageErrors.STORAGE_BAD_MESSAGE([type, 'no such request']);
    }
  }

  #changed(requestId: number, answer: Uint8Array = NOTHING): void {
    this.#answer(requestId, answer);
    this.#host.changed();
  }

  /** On one machine who connects is not known, and only this user can. */
  #demandRole(type: number): void {
    const role = this.connection.peerIdentity?.role;
    if (role !== undefined && role !== 'head' && FOR_HEADS.includes(type))
      throw storageErrors.STORAGE_NOT_FOR_ROLE([type, role]);
  }

  /** Every message but these begins with the volume that it is about. */
  #demandVolume({ type, body }: Frame, own: string): void {
    if (type === MESSAGE.HELLO) return;
    const volume = type === MESSAGE.STATUS ? '' : new ByteReader(body).string();
    if (volume !== own) throw storageErrors.STORAGE_NOT_FOR_VOLUME([type, volume, own]);
  }

  #hello(body: Uint8Array, requestId: number): void {
    const { identity } = this.#host.store;
    const { protocol, cluster, node } = codec.decodeHello(body);
    if (protocol !== STORAGE_PROTOCOL)
      throw storageErrors.STORAGE_WRONG_PROTOCOL([protocol, STORAGE_PROTOCOL]);
    if (cluster !== identity.cluster) throw storageErrors.STORAGE_WRONG_CLUSTER([cluster, identity.cluster]);
    if (node !== identity.node) throw storageErrors.STORAGE_WRONG_NODE([node, identity.node]);
    this.#greeted = true;
    this.#answer(
      requestId,
      codec.encodeHelloAnswer({
        protocol: STORAGE_PROTOCOL,
        node,
        zone: identity.zone,
        store: identity.log,
      }),
    );
  }

  /** One that cannot even be read ends the connection: the writer's next message would not fare better. */
  #ships(body: Uint8Array): void {
    let ships: Ship[];
    try {
      ships = codec.decodeShips(body);
    } catch (error) {
      if (!isCoded(error)) throw error;
      return this.connection.close(error);
    }
    for (const ship of ships) this.#ship(ship);
  }

  #ship(message: Ship): void {
    const { store } = this.#host;
    try {
      this.#owe(store.ship(message));
    } catch (error) {
      if (!isCoded(error)) throw error;
      const segment = store.segments.find(message);
      // What was taken before the refusal is kept, and acknowledged like anything else.
      if (segment && !segment.damaged && message.volumeEpoch === segment.volumeEpoch) this.#owe(segment);
      this.#refuseShip(message, segment, error);
    }
  }

  #owe(segment: Segment): void {
    this.#host.shipped(segment);
    if (this.#toAck.size === 0) this.#host.store.whenDurable(() => this.#acknowledge());
    this.#toAck.add(segment);
    this.#written.add(segment);
  }

  #acknowledge(): void {
    this.#sendAcks(this.#toAck);
    this.#toAck.clear();
  }

  #sendAcks(segments: Iterable<Segment>): void {
    let acks: Ack[] = [];
    for (const segment of segments) {
      // A record that cannot be read is not held. When it has been repaired the writer is told.
      if (segment.wounds.size > 0) continue;
      const { volume, pg, epochs, toldScl, toldCoalesced } = segment;
      const scl = mutant('count-acks') ? segment.chain.highestHeld : toldScl;
      // One message is about one volume, as mostly is one connection.
      if (acks.length > 0 && acks[0].volume !== volume) {
        this.connection.send(MESSAGE.ACK, 0, [codec.encodeAcks(acks)]);
        acks = [];
      }
      acks.push({ volume, pg, ...epochs, scl, coalesced: toldCoalesced });
    }
    // One that does not fit is made up for by the next: they are cumulative.
    if (acks.length > 0) this.connection.send(MESSAGE.ACK, 0, [codec.encodeAcks(acks)]);
  }

  #refuseShip(message: Ship, segment: Segment | undefined, error: CodedError): void {
    const none = { volumeEpoch: 0 as Epoch, membershipEpoch: 0 as Epoch };
    const { code, message: text, detail } = error;
    const { volume, pg } = message;
    const refused = { volume, pg, ...(segment?.epochs ?? none), code, message: text, detail };
    this.connection.send(MESSAGE.SHIP_REFUSED, 0, [codec.encodeShipRefused(refused)]);
  }

  #fence(message: Fence, requestId: number): void {
    const { store, fenced } = this.#host;
    const before = store.segments.find(message)?.epochs;
    store.fence(message, (segment) => {
      this.#answerState(requestId, segment, message);
      if (!before || !atSameEpochs(segment, before)) fenced(segment);
    });
    store.segments.get(message).fencedOn = this.#name;
  }

  /**
   * One that lay on its way while its writer fenced the segment on its next connection says how far the group had come then. By now that
   * may be too little: the segment may have begun anew since, and have acknowledged more.
   */
  #startOver(message: StartOver, requestId: number): void {
    const { store } = this.#host;
    const fencedOn = store.segments.find(message)?.fencedOn;
    if (fencedOn !== undefined && fencedOn !== this.#name)
      throw storageErrors.STORAGE_FENCED_ELSEWHERE([message.volume, message.pg]);
    store.startOver(message, (segment) => {
      const state = store.describe(segment, { withTail: false });
      this.#changed(requestId, codec.encodeSegmentState(state));
    });
  }

  #answerState(requestId: number, segment: Segment, asked: Fence): void {
    try {
      const state = this.#host.store.describe(segment, { withTail: true });
      if (mutant('read-then-fence')) state.volumeEpoch = asked.volumeEpoch;
      this.#answer(requestId, codec.encodeSegmentState(state));
    } catch (error) {
      this.#refuse(requestId, error);
    }
  }

  #answer(requestId: number, body: Uint8Array): void {
    this.#send(MESSAGE.OK, requestId, [body]);
  }

  #refuse(requestId: number, error: unknown): void {
    if (!isCoded(error)) throw error;
    this.#send(MESSAGE.ERROR, requestId, [codec.encodeError(error)]);
  }

  /**
   * Answers leave in order. Those for which the buffer has no room wait until it is empty; whoever asks on and on and takes
   * nothing loses the connection, for it would wait for an answer that never comes.
   */
  #send(type: number, requestId: number, parts: readonly Uint8Array[], onLeft?: () => void): void {
    if (this.#closed) return onLeft?.();
    if (this.#unsent.length === 0 && this.connection.send(type, requestId, parts, onLeft)) return;
    this.#unsentBytes += lengthOf(parts);
    if (this.#unsentBytes > UNSENT_BYTES_MAX) return this.connection.close();
    this.#unsent.push({ type, requestId, parts, onLeft });
  }
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
