/** What the registry knows of a volume, and the only ways in which it changes. */
import {
  assert,
  type Epoch,
  isCoded,
  type NodeId,
  type PgIndex,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import { LSN_ALLOCATION_LIMIT, type TruncationRange } from '@rokka/quorum';
import type { Registry } from '@rokka/registry';
import { volumeErrors } from './errors.ts';
import type { PlacedMember } from './geometry.ts';

export interface GroupRecord {
  readonly pg: PgIndex;
  readonly membershipEpoch: Epoch;
  readonly members: readonly PlacedMember[];
  /** Members that were unreachable when the group was made: only they may be given an empty segment later. */
  readonly missing: readonly NodeId[];
}

export interface VolumeRecord {
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly volumeEpoch: Epoch;
  /** The largest that was ever in force: how far above the VDL a record may exist. */
  readonly lsnAllocationLimitMax: number;
  readonly pagesPerGroup: number;
  readonly groupsMax: number;
  readonly allFull: boolean;
  /** The six nodes, in the order of the members A to F. */
  readonly nodes: readonly { node: NodeId; zone: Zone }[];
  readonly groups: readonly GroupRecord[];
  readonly truncationRanges: readonly TruncationRange[];
}

const ATTEMPTS_MAX = 20;

export class VolumeState {
  readonly #registry: Registry;
  readonly #key: string;
  #record: VolumeRecord;
  #revision: number;
  /** Changes go one after the other, each on what the one before has written. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(registry: Registry, key: string, entry: { record: VolumeRecord; revision: number }) {
    this.#registry = registry;
    this.#key = key;
    this.#record = entry.record;
    this.#revision = entry.revision;
  }

  get record(): VolumeRecord {
    return this.#record;
  }

  /** @throws VOLUME_EXISTS */
  static async create(
    registry: Registry,
    options: {
      volumeId: VolumeId;
      name: string;
      pagesPerGroup: number;
      groupsMax: number;
      allFull: boolean;
      nodes: readonly { node: NodeId; zone: Zone }[];
    },
  ): Promise<void> {
    const record: VolumeRecord = {
      ...options,
      volumeEpoch: 0 as Epoch,
      lsnAllocationLimitMax: LSN_ALLOCATION_LIMIT,
      groups: [],
      truncationRanges: [],
    };
    try {
      await registry.put(keyOf(options.volumeId), record, 0);
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      throw volumeErrors.VOLUME_EXISTS([options.volumeId], { cause: error });
    }
  }

  /** Takes the volume over: raises its epoch by one. Whoever held it before is fenced from here on. @throws VOLUME_NONE */
  static async takeOver(registry: Registry, volumeId: VolumeId): Promise<VolumeState> {
    const key = keyOf(volumeId);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const entry = await registry.get<VolumeRecord>(key);
      if (!entry) throw volumeErrors.VOLUME_NONE([volumeId]);
      const record = { ...entry.value, volumeEpoch: (entry.value.volumeEpoch + 1) as Epoch };
      try {
        const revision = await registry.put(key, record, entry.revision);
        return new VolumeState(registry, key, { record, revision });
      } catch (error) {
        // Somebody else took it first; we are later, so we take it from them.
        if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      }
    }
    throw volumeErrors.VOLUME_INTERRUPTED([volumeId]);
  }

  async addRange(range: TruncationRange): Promise<void> {
    await this.#change(({ truncationRanges }) => ({ truncationRanges: [...truncationRanges, range] }));
  }

  async addGroup(group: GroupRecord): Promise<void> {
    await this.#change(({ groups }) => {
      assert(group.pg === groups.length, 'groups are appended');
      return { groups: [...groups, group] };
    });
  }

  /** The node has its segment of the group now; from here on an empty one there is lost data. */
  async madeMissing(pg: PgIndex, node: NodeId): Promise<void> {
    const without = (group: GroupRecord) => group.missing.filter((other) => other !== node);
    await this.#change(({ groups }) => ({
      groups: groups.map((group) => (group.pg === pg ? { ...group, missing: without(group) } : group)),
    }));
  }

  /** @throws VOLUME_INTERRUPTED where another writer has taken the volume over */
  async #change(part: (record: VolumeRecord) => Partial<VolumeRecord>): Promise<void> {
    const mine = this.#turn.then(() => this.#put(part));
    this.#turn = mine.catch(() => {});
    await mine;
  }

  async #put(part: (record: VolumeRecord) => Partial<VolumeRecord>): Promise<void> {
    const record = { ...this.#record, ...part(this.#record) };
    try {
      this.#revision = await this.#registry.put(this.#key, record, this.#revision);
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      throw volumeErrors.VOLUME_INTERRUPTED([record.volumeId], { cause: error });
    }
    this.#record = record;
  }
}

function keyOf(volumeId: VolumeId): string {
  return `volumes/${volumeId}`;
}
