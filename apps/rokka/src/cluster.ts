/**
 * What every cluster has, as the registry says: its nodes in three zones, six at first, and the database `main` on a volume of
 * its own. Further databases are in packages/databases, `records/`.
 */
import {
  type Clock,
  isCoded,
  must,
  type NodeId,
  PAGE_SIZE,
  type Random,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import type { FirstDatabaseRecord } from '@rokka/databases';
import type { Registry } from '@rokka/registry';
import { Volume, type VolumeBase } from '@rokka/volume';
import type { ArchiveChoice } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';

export interface NodeRecord {
  readonly node: NodeId;
  readonly zone: Zone;
  /** Counted up from 1, never used again: names its directory and its socket. */
  readonly ordinal: number;
  /** Its data directory has been made: from now on an empty one is lost data. */
  readonly made: boolean;
  /** It is to be emptied: other nodes of its zone take over what it holds. */
  readonly leaving?: boolean;
  /** Its data is lost or was taken from it: it is never started again. */
  readonly gone?: boolean;
  /** Id of the machine that it runs on; absent on the one that made the cluster. */
  readonly machine?: string;
  /** Where other machines reach it: `tls:HOST:PORT`. Absent while the cluster is on one machine. */
  readonly address?: string;
}

export interface Cluster {
  readonly id: string;
  readonly nodes: readonly NodeRecord[];
  /** `main`: what never changes of it. */
  readonly database: FirstDatabaseRecord;
}

export const ZONES = ['a', 'b', 'c'] as Zone[];
const NODES_PER_ZONE = 2;
const PAGES_PER_GROUP = (10 * 1024 ** 3) / PAGE_SIZE;
/** 64 TiB, as in the papers. */
const GROUPS_MAX = 6_400;
const DATABASE = 'main';
/** More than are ever added to a cluster at one moment. */
const ADD_ATTEMPTS_MAX = 100;

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
  for (let ordinal = 1; ordinal <= ZONES.length * NODES_PER_ZONE; ordinal++) {
    const zone = must(ZONES[Math.floor((ordinal - 1) / NODES_PER_ZONE)]);
    await readOrMake<NodeRecord>(registry, nodeKey(ordinal), async () => freshNode(ordinal, zone, random));
  }
  const nodes = await listNodes(registry);
  const database = await readOrMake<FirstDatabaseRecord>(registry, `databases/${DATABASE}`, async () => {
    const volumeId = `vol-${random.hex(8)}` as VolumeId;
    const chosen = await engine();
    const places = nodes.filter(({ gone }) => !gone);
    await makeVolume(registry, { volumeId, name: DATABASE, places });
    return { name: DATABASE, engine: chosen, volumeId, createdAtMs: clock.wallMs() };
  });
  return { id, nodes, database };
}

/** @param of.places six nodes, two of each zone @throws VOLUME_EXISTS */
export async function makeVolume(
  registry: Registry,
  of: { volumeId: VolumeId; name: string; places: readonly NodeRecord[]; base?: VolumeBase },
): Promise<void> {
  await Volume.create(registry, {
    volumeId: of.volumeId,
    name: of.name,
    pagesPerGroup: PAGES_PER_GROUP,
    groupsMax: GROUPS_MAX,
    allFull: false,
    nodes: of.places.map(({ node, zone }) => ({ node, zone })),
    ...(of.base && { base: of.base }),
  });
}

/**
 * Six nodes for a new volume, two of each zone: drawn by lot, because the first of a zone has the pages of the first protection
 * group and does most of its work. Where a zone has too few that are to stay, one that leaves, or is gone, holds the place
 * until the healer finds another one.
 */
export function drawPlaces(nodes: readonly NodeRecord[], random: Random): NodeRecord[] {
  const rank = ({ gone, leaving }: NodeRecord) => (gone ? 2 : leaving ? 1 : 0);
  return ZONES.flatMap((zone) => {
    const drawn = nodes
      .filter((node) => node.zone === zone)
      .map((node) => ({ node, lot: random.below(1 << 30) }));
    drawn.sort((a, b) => rank(a.node) - rank(b.node) || a.lot - b.lot);
    return drawn.slice(0, NODES_PER_ZONE).map(({ node }) => node);
  });
}

/** The cluster as another machine has made it. @throws ROKKA_NO_DATABASE */
export async function readCluster(registry: Registry, id: string): Promise<Cluster> {
  const database = await registry.get<FirstDatabaseRecord>(`databases/${DATABASE}`);
  if (!database) throw rokkaErrors.ROKKA_NO_DATABASE([id]);
  return { id, nodes: await listNodes(registry), database: database.value };
}

/** Every node that the cluster ever had, the first first. */
export async function listNodes(registry: Registry): Promise<NodeRecord[]> {
  const entries = await registry.list<NodeRecord>(NODES);
  return entries.map(({ value }) => value).sort((a, b) => a.ordinal - b.ordinal);
}

/**
 * One more node for a zone; it has no directory yet. Where several are added at one moment, as when those of a whole disk have lost their
 * data, all want the same ordinal first. Each conflict is another node that is there, so whoever tries again comes to its turn.
 * @throws ROKKA_NO_ZONE
 */
export async function addNode(
  registry: Registry,
  options: { zone: string; random: Random },
): Promise<NodeRecord> {
  const zone = zoneNamed(options.zone);
  for (let attempt = 1; ; attempt++) {
    const node = freshNode(nextOrdinal(await listNodes(registry)), zone, options.random);
    try {
      await registry.put(nodeKey(node.ordinal), node, 0);
      return node;
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT') || attempt === ADD_ATTEMPTS_MAX) throw error;
    }
  }
}

/**
 * The node of a machine that joined; its own machine has made its directory.
 * @param of.known all nodes, as they were when it was not among them
 * @throws ROKKA_NO_ZONE; REGISTRY_CONFLICT where there is another one by now, and that may be this machine's: look for it before you try again
 */
export async function addJoinedNode(
  registry: Registry,
  of: { id: string; zone: string; address: string; known: readonly NodeRecord[] },
): Promise<NodeRecord> {
  const record: NodeRecord = {
    node: of.id as NodeId,
    zone: zoneNamed(of.zone),
    ordinal: nextOrdinal(of.known),
    made: true,
    machine: of.id,
    address: of.address,
  };
  await registry.put(nodeKey(record.ordinal), record, 0);
  return record;
}

/** Whoever takes it has seen all nodes that there are then, or meets a conflict. */
const nextOrdinal = (known: readonly NodeRecord[]): number => (known.at(-1)?.ordinal ?? 0) + 1;

/** @throws ROKKA_NO_ZONE */
export function zoneNamed(name: string): Zone {
  const zone = ZONES.find((one) => one === name);
  if (!zone) throw rokkaErrors.ROKKA_NO_ZONE([name, ZONES.join(', ')]);
  return zone;
}

/** Where the machine that made the cluster listens for others, as `rokka up --listen` said last; undefined if it never did. */
export async function listeningAddress(registry: Registry): Promise<string | undefined> {
  return (await registry.get<ListenRecord>(LISTEN))?.value.address;
}

/** @throws REGISTRY_CONFLICT */
export async function setListeningAddress(registry: Registry, address: string): Promise<void> {
  const entry = await registry.get<ListenRecord>(LISTEN);
  if (entry?.value.address !== address)
    await registry.put(LISTEN, { address } satisfies ListenRecord, entry?.revision ?? 0);
}

/** Where the cluster's history is, as the machine that made it has said; undefined where no bucket was named. */
export async function archiveOfCluster(registry: Registry): Promise<ArchiveChoice | undefined> {
  return (await registry.get<ArchiveChoice>(ARCHIVE))?.value;
}

/** For machines that are to join: it never changes. */
export async function tellArchive(registry: Registry, archive: ArchiveChoice): Promise<void> {
  await readOrMake<ArchiveChoice>(registry, ARCHIVE, async () => archive);
}

/** How many spares each zone is to have; none, unless `rokka node spares` said otherwise. */
export async function sparesWanted(registry: Registry): Promise<number> {
  return (await registry.get<SparesRecord>(SPARES))?.value.perZone ?? 0;
}

/** @throws REGISTRY_CONFLICT */
export async function setSparesWanted(registry: Registry, perZone: number): Promise<void> {
  const entry = await registry.get<SparesRecord>(SPARES);
  await registry.put(SPARES, { perZone } satisfies SparesRecord, entry?.revision ?? 0);
}

/** Changes what the registry says of a node. @throws ROKKA_NO_NODE, REGISTRY_CONFLICT */
export async function changeNode(
  registry: Registry,
  ordinal: number,
  part: Pick<Partial<NodeRecord>, 'made' | 'leaving' | 'gone' | 'address'>,
): Promise<NodeRecord> {
  const entry = await registry.get<NodeRecord>(nodeKey(ordinal));
  if (!entry) throw rokkaErrors.ROKKA_NO_NODE([ordinal]);
  const record = { ...entry.value, ...part };
  await registry.put(entry.key, record, entry.revision);
  return record;
}

interface ListenRecord {
  /** `host:port`, where machines join. */
  readonly address: string;
}

interface SparesRecord {
  readonly perZone: number;
}

const LISTEN = 'listen';
const ARCHIVE = 'archive';
const SPARES = 'spares';
const NODES = 'nodes/';
const nodeKey = (ordinal: number) => `${NODES}${ordinal}`;

function freshNode(ordinal: number, zone: Zone, random: Random): NodeRecord {
  return { node: `node-${ordinal}-${random.hex(6)}` as NodeId, zone, ordinal, made: false };
}

async function readOrMake<T>(registry: Registry, key: string, make: () => Promise<T>): Promise<T> {
  const entry = await registry.get<T>(key);
  if (entry) return entry.value;
  const value = await make();
  await registry.put(key, value, 0);
  return value;
}
