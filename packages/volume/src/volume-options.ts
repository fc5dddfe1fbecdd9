/** What a volume's writer is given: everything that it needs from outside, so that the simulator runs the same writer. */
import type { Clock, CodedError, NodeId, Random, VolumeId } from '@rokka/kernel';
import type { HealingTimes } from '@rokka/quorum';
import type { Registry } from '@rokka/registry';
import type { Network } from '@rokka/transport';
import type { FleetNode } from './healer.ts';
import type { BasePages, VolumeBase } from './inheritance.ts';
import type { RamLog } from './ram-log.ts';

/** Undurable bytes and records at which writers wait: the memory of a writer whose nodes are slow, and what a node can list in one answer. */
export const OUTSTANDING_BYTES_MAX = 32 * 1024 * 1024;
export const OUTSTANDING_RECORDS_MAX = 262_144;

export interface VolumeOptions {
  volumeId: VolumeId;
  cluster: string;
  registry: Registry;
  network: Network;
  /** Socket address of a storage node. */
  addressOf(node: NodeId): string;
  clock: Clock;
  random: Random;
  signal?: AbortSignal;
  /** What no other opening of this volume is known by, 16 characters or so; drawn where it is not given. */
  opening?: string;
  recoverTimeoutMs?: number;
  outstandingBytesMax?: number;
  /** Of records in one message to a node: what is more leaves in several, of which a crash may leave some behind. */
  shipBytesMax?: number;
  /** Every node of the cluster, spares among them; without it members are never replaced by themselves. */
  fleet?(): readonly FleetNode[];
  healingTimes?: Partial<HealingTimes>;
  /** Opens what a clone was made of; needed only for one. */
  openBase?(base: VolumeBase): Promise<BasePages>;
  /** The nodes keep all log until `tap.holdLog` says otherwise: somebody will want it (an archive). */
  holdsLog?: boolean;
  /**
   * The nodes share this machine's processors with us and each other: two members of six get their ships a moment later, several in
   * one. Between machines each has its own, and the fourth answer of six comes sooner than the last of four.
   */
  crowded?: boolean;
  /** Where what is not durable yet outlives this process. */
  ramLog?: RamLog;
  /** Goes on exactly where the writer before, which wrote to this log in memory, was killed; or does not open at all. */
  takesOver?: boolean;
  /** Takes lines for people: members that come and go. */
  log?(text: string): void;
  onProgress?(text: string): void;
  /** Once, when another writer took over or the volume cannot go on. */
  onFailed?(error: CodedError): void;
}
