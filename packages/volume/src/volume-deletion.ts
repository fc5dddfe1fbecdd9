/**
 * Deletes a volume: decided in the registry first, then carried out on the storage nodes, one after the other as they are there.
 *
 * - From the first step on nobody opens the volume, and whoever has it is fenced: the epoch goes up with the decision.
 * - The record stays as a tombstone until every node that may hold a segment has dropped it, or has been given up by the
 *   cluster. A node that is away keeps it; so nothing that comes back later is forgotten on its disk.
 * - Every step may be repeated, by anybody, at any time. A crash costs nothing but the call.
 *
 * The writer has ended before (its process, not only its volume): one that is alive could make a segment on a node that had
 * none and so has never heard of the new epoch.
 */
import {
  type Clock,
  describeError,
  type Epoch,
  isCoded,
  must,
  type NodeId,
  type Random,
  type VolumeId,
} from '@rokka/kernel';
import type { PlacedMember } from '@rokka/quorum';
import type { Registry, RegistryEntry } from '@rokka/registry';
import { encodeDropSegment, encodeFence, MESSAGE } from '@rokka/storage';
import type { Network } from '@rokka/transport';
import { dismissalsFor, nodesToAsk } from './deletion-plan.ts';
import { volumeErrors } from './errors.ts';
import type { NodeLink } from './node-link.ts';
import { NodeLinks } from './node-links.ts';
import { upgradeRecord, type DeletionRecord, type VolumeRecord } from './volume-record.ts';
import { VOLUMES, volumeKey } from './volume-state.ts';

const TIMEOUT_MS = 10_000;
const CALL_MS = 5_000;
const RETRY_MS = 100;
const ATTEMPTS_MAX = 100;
/** By the node itself, which is there and well. */
const REFUSED = /^(STORAGE|QUORUM)_/;

export interface DeletionOptions {
  volumeId: VolumeId;
  cluster: string;
  registry: Registry;
  network: Network;
  /** Socket address of a storage node. */
  addressOf(node: NodeId): string;
  /** Whether the cluster still has the node: one that is gone for good is not waited for. */
  isKept(node: NodeId): boolean;
  clock: Clock;
  random: Random;
  signal?: AbortSignal;
  /** For how long nodes that are away are waited for. */
  timeoutMs?: number;
}

export interface DeletionOutcome {
  /** Nodes that have not confirmed; while there are any the tombstone stays. Empty: nothing is left of the volume. */
  readonly left: readonly NodeId[];
  /** Why not, as far as is known, by node. */
  readonly reasons: Readonly<Record<NodeId, string>>;
}

/** Marks the volume deleted, has nodes drop what they hold of it, and removes the record with the last of them. */
export async function deleteVolume(options: DeletionOptions): Promise<DeletionOutcome> {
  const { registry, volumeId, clock, isKept, signal, timeoutMs = TIMEOUT_MS } = options;
  const record = await markDeleted(registry, volumeId);
  const reasons: Record<NodeId, string> = {};
  if (!record) return { left: [], reasons };
  const waiting = new Set(leftOf(record).filter(isKept));
  await using links = new NodeLinks({ ...options, events: SILENT });
  const untilMs = clock.nowMs() + timeoutMs;
  const isOver = () => clock.nowMs() >= untilMs || signal?.aborted === true;
  const work = async (node: NodeId) => {
    const link = links.to(node);
    while (!isOver()) {
      try {
        if (!link.up) throw volumeErrors.VOLUME_NODE_DOWN([node], { cause: link.lastError });
        await dropAll(link, record, options.addressOf);
        waiting.delete(node);
        return;
      } catch (error) {
        if (!isCoded(error)) throw error;
        reasons[node] = describeError(error);
      }
      await clock.sleep(RETRY_MS);
    }
  };
  await Promise.all([...waiting].map(work));
  await confirm(registry, volumeId, (node) => waiting.has(node));
  const left = [...waiting];
  return { left, reasons: Object.fromEntries(left.map((node) => [node, reasons[node] ?? 'it is away'])) };
}

/** Volumes that are deleted and still wait for a node. */
export async function deletedVolumes(registry: Registry): Promise<VolumeId[]> {
  const entries = await registry.list<VolumeRecord>(VOLUMES);
  return entries.filter(({ value }) => value.deletion).map(({ value }) => value.volumeId);
}

/** The decision. Undefined where there is no such volume (any more). */
async function markDeleted(registry: Registry, volumeId: VolumeId): Promise<VolumeRecord | undefined> {
  return changing(registry, volumeId, async ({ key, value, revision }) => {
    if (value.deletion) return value;
    const record: VolumeRecord = {
      ...value,
      volumeEpoch: (value.volumeEpoch + 1) as Epoch,
      deletion: { left: nodesToAsk(value) },
    };
    await registry.put(key, record, revision);
    return record;
  });
}

/** Takes note of who is done, and removes the tombstone where nobody is left. */
async function confirm(registry: Registry, volumeId: VolumeId, waits: (node: NodeId) => boolean) {
  await changing(registry, volumeId, async ({ key, value, revision }) => {
    const left = leftOf(value).filter(waits);
    if (left.length === 0) await registry.remove(key, revision);
    else if (left.length < leftOf(value).length)
      await registry.put(key, { ...value, deletion: { left } satisfies DeletionRecord }, revision);
    return value;
  });
}

/** Reads and changes the record until nobody else was faster. */
async function changing(
  registry: Registry,
  volumeId: VolumeId,
  change: (entry: RegistryEntry<VolumeRecord>) => Promise<VolumeRecord>,
): Promise<VolumeRecord | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const entry = await registry.get<VolumeRecord>(volumeKey(volumeId));
    if (!entry) return undefined;
    try {
      return await change({ ...entry, value: upgradeRecord(entry.value) });
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
    }
  }
  throw volumeErrors.VOLUME_INTERRUPTED([volumeId]);
}

function leftOf({ deletion }: VolumeRecord): readonly NodeId[] {
  return must(deletion, 'a deletion is decided before it is carried out').left;
}

/**
 * Durable on the node when it resolves. Each segment is fenced before it is dropped: the node remembers the epoch of what it
 * had, and lets no earlier writer make it again.
 */
async function dropAll(link: NodeLink, record: VolumeRecord, addressOf: (node: NodeId) => string) {
  const { volumeId: volume, volumeEpoch, truncationRanges } = record;
  const addressed = (members: readonly PlacedMember[]) =>
    members.map((member) => ({ ...member, address: addressOf(member.node) }));
  for (const { pg, epoch, members, nextEpoch, others } of dismissalsFor(record, link.node)) {
    const segment = { volume, pg, volumeEpoch };
    const fence = encodeFence({
      ...segment,
      membershipEpoch: epoch,
      members: addressed(members),
      ranges: [...truncationRanges],
    });
    // One that is not there, or is no member any more, is not fenced, and needs not to be.
    await link.call(MESSAGE.FENCE, [fence], { timeoutMs: CALL_MS }).catch((error: unknown) => {
      if (!isCoded(error) || !REFUSED.test(error.code)) throw error;
    });
    const drop = encodeDropSegment({ ...segment, membershipEpoch: nextEpoch, members: addressed(others) });
    await link.call(MESSAGE.DROP_SEGMENT, [drop], { timeoutMs: CALL_MS });
  }
}

/** Nothing is shipped here, and whoever comes is looked for. */
const SILENT = {
  onUp: () => {},
  onDown: () => {},
  onAck: () => {},
  onRefused: () => {},
  onDrain: () => {},
};
