/**
 * What happened, as seen from outside: on the wire, in the registry, at the clients, to the machines. The oracles judge from
 * these alone. Bytes are views that are valid only while the event is being handed out.
 */
import type { Epoch, Lsn, NodeId, PageNumber, PgIndex } from '@rokka/kernel';
import type { PlacedMember } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import type { VolumeRecord } from '@rokka/volume';
import type { MemoryFate } from './sim-memory.ts';

/** One sealed record: what its header says, and its bytes. */
export interface SeenRecord {
  readonly lsn: Lsn;
  readonly previousVolumeLsn: Lsn;
  readonly previousPgLsn: Lsn;
  readonly page: PageNumber;
  readonly pg: PgIndex;
  readonly volumeEpoch: Epoch;
  readonly cpl: boolean;
  readonly checksum: number;
  readonly bytes: Uint8Array;
}

export type SimEvent =
  /** The volume's document in the registry has changed. */
  | { readonly kind: 'registry'; readonly record: VolumeRecord }
  /** A writer made a mini-transaction, and this was its VDL then. The bytes of these records stay. */
  | {
      readonly kind: 'appended';
      readonly writer: string;
      readonly vdl: Lsn;
      readonly records: readonly SeenRecord[];
    }
  /** A writer's opening was answered: it serves from here on. */
  | {
      readonly kind: 'opened';
      readonly writer: string;
      readonly epoch: Epoch;
      readonly vdl: Lsn;
      /** What it took over is in it. */
      readonly tookOver: boolean;
    }
  /** What became of the log in memory of a writer, which outlives its process (sim-memory.ts). */
  | {
      readonly kind: 'memory';
      readonly writer: string;
      readonly memory: string;
      readonly what: MemoryFate;
      readonly epoch?: Epoch;
      readonly vdl?: Lsn;
    }
  /** A client was told that everything up to here is durable. */
  | { readonly kind: 'acked'; readonly writer: string; readonly epoch: Epoch; readonly lsn: Lsn }
  /** A writer said to a node what is durable, what may be read, what may be dropped. */
  | {
      readonly kind: 'announced';
      readonly writer: string;
      readonly epoch: Epoch;
      readonly pg: PgIndex;
      readonly vdl: Lsn;
      readonly pgmrpl: Lsn;
      readonly logFloor: Lsn;
    }
  /** Records reached a node, from a writer or from a peer. */
  | {
      readonly kind: 'delivered';
      readonly node: NodeId;
      readonly from: string;
      readonly pg: PgIndex;
      readonly records: readonly SeenRecord[];
    }
  /** A node gave records to a peer or to a recovery. */
  | {
      readonly kind: 'gave';
      readonly node: NodeId;
      readonly to: string;
      readonly pg: PgIndex;
      readonly epoch: Epoch;
      readonly records: readonly SeenRecord[];
    }
  /** A node acknowledged a writer's ships. */
  | {
      readonly kind: 'ack';
      readonly node: NodeId;
      readonly to: string;
      readonly pg: PgIndex;
      readonly epoch: Epoch;
      readonly membershipEpoch: Epoch;
      readonly scl: Lsn;
      readonly coalesced: Lsn;
    }
  /** A node told its state: as the answer to a fence, or to a peer or writer who asked for it. */
  | {
      readonly kind: 'state';
      readonly node: NodeId;
      readonly to: string;
      readonly of: 'fence' | 'peer';
      /** It answers whoever told it to begin anew. */
      readonly anew?: boolean;
      readonly state: SegmentState;
    }
  /** A writer told a node who the members of a group are, with a request that makes, fences or drops its segment. */
  | {
      readonly kind: 'membership-told';
      readonly by: 'create' | 'start over' | 'fence' | 'drop';
      readonly writer: string;
      readonly node: NodeId;
      readonly pg: PgIndex;
      readonly epoch: Epoch;
      readonly membershipEpoch: Epoch;
      readonly members: readonly PlacedMember[];
    }
  /** A node asked a peer something, at its own epochs. */
  | {
      readonly kind: 'asked';
      readonly node: NodeId;
      readonly to: NodeId;
      readonly pg: PgIndex;
      readonly epoch: Epoch;
      readonly membershipEpoch: Epoch;
    }
  /** A request that names its epochs reached a node. */
  | {
      readonly kind: 'reached';
      readonly node: NodeId;
      readonly from: string;
      readonly pg: PgIndex;
      readonly request: number;
    }
  /** A node answered one who had asked at these epochs. */
  | {
      readonly kind: 'served';
      readonly node: NodeId;
      readonly to: string;
      readonly pg: PgIndex;
      readonly epoch: Epoch;
      readonly membershipEpoch: Epoch;
      readonly request: number;
    }
  /** A node gave a peer its pages [from, next), which contain everything up to `coalesced`. */
  | {
      readonly kind: 'gave-pages';
      readonly node: NodeId;
      readonly to: string;
      readonly pg: PgIndex;
      readonly from: PageNumber;
      readonly next: PageNumber;
      readonly coalesced: Lsn;
    }
  /** A node refused a ship or a request. */
  | { readonly kind: 'refused'; readonly node: NodeId; readonly to: string; readonly code: string }
  /** A node answered a read. */
  | {
      readonly kind: 'read-answer';
      readonly node: NodeId;
      readonly to: string;
      readonly pg: PgIndex;
      readonly epoch: Epoch;
      readonly page: PageNumber;
      readonly readPoint: Lsn;
      readonly pageLsn: Lsn;
      readonly content: Uint8Array;
    }
  /** A client saw a page of its writer's cache, own undurable writes included. */
  | {
      readonly kind: 'seen';
      readonly writer: string;
      readonly epoch: Epoch;
      readonly page: PageNumber;
      readonly applied: Lsn;
      readonly content: Uint8Array;
    }
  /** A node runs, on this data directory (VolumeRecord.stores). */
  | { readonly kind: 'store'; readonly node: NodeId; readonly store: string }
  /** A machine's or a process's fate, a fault that begins or ends. */
  | { readonly kind: 'fate'; readonly who: string; readonly what: string; readonly why?: string };

export type SimEventKind = SimEvent['kind'];
export type EventOf<K extends SimEventKind> = Extract<SimEvent, { kind: K }>;
