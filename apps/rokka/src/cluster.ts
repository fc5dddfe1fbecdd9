/** What a cluster on one machine consists of: six nodes in three zones, one volume, one database, as the registry says. */
import {
  type Clock,
  must,
  type NodeId,
  PAGE_SIZE,
  type Random,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { Volume } from '@rokka/volume';

export interface NodeRecord {
  readonly node: NodeId;
  readonly zone: Zone;
  /** 1 to 6: names its directory and its socket. */
  readonly ordinal: number;
  /** Its data directory has been made: from now on an empty one is lost data. */
  readonly made: boolean;
}

export interface DatabaseRecord {
  readonly name: string;
  /** Chosen when the database is made, and never changed. */
  readonly engine: 'native' | 'pglite';
  readonly volumeId: VolumeId;
  readonly createdAtMs: number;
}

export interface Cluster {
  readonly id: string;
  readonly nodes: readonly NodeRecord[];
  readonly database: DatabaseRecord;
}

const ZONES = ['a', 'b', 'c'] as Zone[];
const NODES_PER_ZONE = 2;
const PAGES_PER_GROUP = (10 * 1024 ** 3) / PAGE_SIZE;
/** 64 TiB, as in the papers. */
const GROUPS_MAX = 6_400;
const DATABASE = 'main';

/**
 * Reads the cluster, making what is missing. Each step is one write that a crash may follow: what is there is kept.
 * @param options.engine asked for only when the database is made
 */
export async function loadCluster(options: {
  registry: Registry;
  id: string;
  random: Random;
  clock: Clock;
  engine(): Promise<'native' | 'pglite'>;
}): Promise<Cluster> {
  const { registry, id, random, clock, engine } = options;
  const nodes: NodeRecord[] = [];
  for (let ordinal = 1; ordinal <= ZONES.length * NODES_PER_ZONE; ordinal++) {
    const zone = must(ZONES[Math.floor((ordinal - 1) / NODES_PER_ZONE)]);
    const fresh = { node: `node-${ordinal}-${random.hex(6)}` as NodeId, zone, ordinal, made: false };
    nodes.push(await readOrMake<NodeRecord>(registry, nodeKey(ordinal), async () => fresh));
  }
  const database = await readOrMake<DatabaseRecord>(registry, `databases/${DATABASE}`, async () => {
    const volumeId = `vol-${random.hex(8)}` as VolumeId;
    const chosen = await engine();
    await Volume.create(registry, {
      volumeId,
      name: DATABASE,
      pagesPerGroup: PAGES_PER_GROUP,
      groupsMax: GROUPS_MAX,
      allFull: false,
      nodes: nodes.map(({ node, zone }) => ({ node, zone })),
    });
    return { name: DATABASE, engine: chosen, volumeId, createdAtMs: clock.wallMs() };
  });
  return { id, nodes, database };
}

/** The node's directory is there; an empty one in its place would be refused from now on. */
export async function markMade(registry: Registry, node: NodeRecord): Promise<void> {
  const entry = must(await registry.get<NodeRecord>(nodeKey(node.ordinal)), 'the node is in the registry');
  if (!entry.value.made) await registry.put(entry.key, { ...entry.value, made: true }, entry.revision);
}

const nodeKey = (ordinal: number) => `nodes/${ordinal}`;

async function readOrMake<T>(registry: Registry, key: string, make: () => Promise<T>): Promise<T> {
  const entry = await registry.get<T>(key);
  if (entry) return entry.value;
  const value = await make();
  await registry.put(key, value, 0);
  return value;
}
