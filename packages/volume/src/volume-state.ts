/**
 * The only ways in which the registry's record of a volume changes: each by compare-and-set on what this writer knows, so
 * that whoever was replaced changes nothing any more.
 */
import {
  assert,
  type CodedError,
  type Epoch,
  isCoded,
  must,
  mutant,
  type NodeId,
  type PgIndex,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import { allMembers, LSN_ALLOCATION_LIMIT, type Membership, type TruncationRange } from '@rokka/quorum';
import type { Registry } from '@rokka/registry';
import { volumeErrors } from './errors.ts';
import type { VolumeBase } from './inheritance.ts';
import { nextGroupEpoch, upgradeRecord, type GroupRecord, type VolumeRecord } from './volume-record.ts';

const ATTEMPTS_MAX = 20;

export class VolumeState {
  readonly #registry: Registry;
  readonly #key: string;
  #record: VolumeRecord;
  #revision: number;
  /** Changes go one after the other, each on what the one before has written. */
  #turn: Promise<void> = Promise.resolve();
  #confirming: Promise<void> | undefined;

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
      base?: VolumeBase;
    },
  ): Promise<void> {
    const record: VolumeRecord = {
      ...options,
      volumeEpoch: 0 as Epoch,
      lsnAllocationLimitMax: LSN_ALLOCATION_LIMIT,
      stores: {},
      groups: [],
      truncationRanges: [],
    };
    try {
      await registry.put(volumeKey(options.volumeId), record, 0);
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
      throw volumeErrors.VOLUME_EXISTS([options.volumeId], { cause: error });
    }
  }

  /**
   * Takes the volume over: raises its epoch by one. Whoever held it before is fenced from here on.
   * @throws VOLUME_NONE, VOLUME_DELETED
   */
  static async takeOver(registry: Registry, volumeId: VolumeId): Promise<VolumeState> {
    const key = volumeKey(volumeId);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const entry = await registry.get<VolumeRecord>(key);
      if (!entry) throw volumeErrors.VOLUME_NONE([volumeId]);
      if (entry.value.deletion) throw volumeErrors.VOLUME_DELETED([volumeId]);
      const record = { ...upgradeRecord(entry.value), volumeEpoch: (entry.value.volumeEpoch + 1) as Epoch };
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
    await this.#change(({ truncationRanges: known }) => ({
      truncationRanges: mutant('ranges-replaced') ? [range] : [...known, range],
    }));
  }

  /** @param stores those of the nodes that have their segment */
  async addGroup(group: GroupRecord, stores: VolumeRecord['stores']): Promise<void> {
    await this.#change(({ groups, stores: known }) => {
      assert(group.pg === groups.length, 'groups are appended');
      return { groups: [...groups, group], stores: { ...stores, ...known }, nextGroupEpoch: undefined };
    });
  }

  /** The node has its segment of the group now; from here on an empty one there is lost data. */
  async madeMissing(pg: PgIndex, node: NodeId, store: string): Promise<void> {
    await this.#change(({ groups, stores }) => {
      const without = (group: GroupRecord) => group.missing.filter((other) => other !== node);
      return {
        stores: { [node]: store, ...stores },
        groups: groups.map((group) => (group.pg === pg ? { ...group, missing: without(group) } : group)),
      };
    });
  }

  /** Every page of the base is on the storage nodes. */
  async ownsAll(): Promise<void> {
    await this.#change(() => ({ base: undefined }));
  }

  /** The node's data directory, where an older version did not write it down. */
  async learnStore(node: NodeId, store: string): Promise<void> {
    await this.#change(({ stores }) => ({ stores: { [node]: store, ...stores } }));
  }

  /**
   * Decides the next membership of a group. Who comes has no segment yet; who goes may have one, and gives its place in
   * new groups to the one that came for it. Then the next group begins under a higher epoch, in the same write: no segment that somebody
   * has made of it for the ones before, in whatever attempt, is taken for one of theirs.
   * @throws VOLUME_NODE_RETIRED, VOLUME_INTERRUPTED
   */
  async changeMembership(pg: PgIndex, next: Membership): Promise<void> {
    await this.#change((record) => {
      const { groups, nodes, stores } = record;
      const group = must(groups[pg]);
      assert(next.epoch === group.membership.epoch + 1, 'membership epochs go up one by one');
      const before = allMembers(group.membership).map(({ node }) => node);
      const after = allMembers(next).map(({ node }) => node);
      const came = after.filter((node) => !before.includes(node));
      const stale = came.find((node) => group.retired.includes(node));
      // It may hold a chain that others have dropped the log for: it would never catch up.
      if (stale) throw volumeErrors.VOLUME_NODE_RETIRED([stale, pg]);
      const left = before.filter((node) => !after.includes(node));
      const changed: GroupRecord = {
        pg,
        membership: next,
        missing: [...group.missing.filter((node) => after.includes(node)), ...came],
        retired: [...group.retired, ...left],
      };
      const heirs = new Map(
        group.membership.slots.map(({ member }, place) => [member.node, must(next.slots[place]).member.node]),
      );
      // Who has nothing in any group has nothing to lose: it may come on a new disk.
      const isNew = (node: string) =>
        came.includes(node as NodeId) && !groups.some((other) => isIn(other, node as NodeId));
      const places = nodes.map(({ node, zone }) => {
        const heir = heirs.get(node);
        // One node may come for two others, in two groups; a new group has it once.
        const isFree = heir !== undefined && !nodes.some((other) => other.node === heir);
        return { node: isFree ? heir : node, zone };
      });
      const isPlacedAnew = places.some(({ node }, place) => node !== nodes[place]?.node);
      return {
        stores: Object.fromEntries(Object.entries(stores).filter(([node]) => !isNew(node))),
        groups: groups.map((other) => (other.pg === pg ? changed : other)),
        nodes: places,
        ...(isPlacedAnew && { nextGroupEpoch: (nextGroupEpoch(record) + 1) as Epoch }),
      };
    });
  }

  /** Nobody has taken the volume over until now. @throws VOLUME_INTERRUPTED */
  async confirm(): Promise<void> {
    // One for all who ask before it is begun.
    this.#confirming ??= this.#change(() => {
      this.#confirming = undefined;
      return {};
    });
    await this.#confirming;
  }

  /** Nothing of the group is left on the node. */
  async dropped(pg: PgIndex, node: NodeId): Promise<void> {
    await this.#changeGroup(pg, ({ retired }) => ({ retired: retired.filter((other) => other !== node) }));
  }

  async #changeGroup(pg: PgIndex, part: (group: GroupRecord) => Partial<GroupRecord>): Promise<void> {
    await this.#change(({ groups }) => ({
      groups: groups.map((group) => (group.pg === pg ? { ...group, ...part(group) } : group)),
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
      if (!isCoded(error)) throw error;
      if (error.code !== 'REGISTRY_CONFLICT' && !(await this.#wasWritten(record, error))) throw error;
      if (error.code === 'REGISTRY_CONFLICT')
        throw volumeErrors.VOLUME_INTERRUPTED([record.volumeId], { cause: error });
    }
    this.#record = record;
  }

  /**
   * The registry could not tell what became of the change. Nobody else writes under our epoch, so what stands there now
   * tells; one that is carried out later still is met as a conflict by the next change.
   */
  async #wasWritten(record: VolumeRecord, error: CodedError): Promise<boolean> {
    if (error.detail['inDoubt'] === false) return false;
    const entry = await this.#registry.get<VolumeRecord>(this.#key);
    if (!entry || JSON.stringify(entry.value) !== JSON.stringify(record)) return false;
    this.#revision = entry.revision;
    return true;
  }
}

/** It is a member, or was one and may still hold what it had. */
function isIn({ membership, retired }: GroupRecord, node: NodeId): boolean {
  return retired.includes(node) || allMembers(membership).some((member) => member.node === node);
}

export const VOLUMES = 'volumes/';

export function volumeKey(volumeId: VolumeId): string {
  return `${VOLUMES}${volumeId}`;
}
