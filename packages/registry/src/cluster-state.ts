/**
 * The documents that a cluster keeps in its registry: who belongs to it, which epochs are the current ones, what was
 * annulled. Every document is checked when it is read and before it is written; whoever gets one can rely on it.
 *
 *   cluster               what this is a registry of
 *   nodes/<nodeId>        a storage node
 *   volumes/<volumeId>    a volume: its writer's epoch, its protection groups, its truncation ranges
 *   databases/<name>      a database and the volume it lies on
 */
import {
  PAGE_SIZE,
  type Epoch,
  type Lsn,
  type NodeId,
  type PgIndex,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import { listOf, object, oneOf, ruled, text, whole } from './shape.ts';
import type { DocumentKind } from './document.ts';

/** Of all documents together: a program refuses a cluster of another format. */
export const CLUSTER_FORMAT = 1;
/** Copies of a protection group: the members A to F. */
export const MEMBERS_PER_GROUP = 6;
/** 6,400 groups of 10 GiB are 64 TiB. */
const GROUPS_MAX = 6_400;

export interface ClusterDocument {
  format: typeof CLUSTER_FORMAT;
  clusterId: string;
  /** ISO 8601, UTC. */
  createdAt: string;
}

export interface NodeDocument {
  nodeId: NodeId;
  zone: Zone;
  /** Socket path, relative to the data directory. */
  address: string;
  /** Counted from 0 in the order in which the nodes were made: for names that people read. */
  ordinal: number;
}

export interface GroupMember {
  node: NodeId;
  kind: 'full' | 'tail';
  zone: Zone;
}

export interface VolumeGroup {
  pg: PgIndex;
  membershipEpoch: Epoch;
  /** In the order A to F. */
  members: GroupMember[];
}

/** LSNs in (after, through] were annulled by the recovery that opened `volumeEpoch`. */
export interface VolumeTruncationRange {
  volumeEpoch: Epoch;
  after: Lsn;
  through: Lsn;
}

export interface VolumeDocument {
  volumeId: VolumeId;
  name: string;
  /** Of the current writer; raised by compare-and-set before a new writer does anything else. */
  volumeEpoch: Epoch;
  /** No writer may have allocated an LSN above this: where the next truncation range ends. */
  lsnAllocationLimitMax: Lsn;
  pageSizeBytes: typeof PAGE_SIZE;
  pagesPerGroup: number;
  /** Protection groups 0, 1, 2 …, without a gap. */
  groups: VolumeGroup[];
  /** In the order of their epochs. */
  truncationRanges: VolumeTruncationRange[];
}

export interface DatabaseDocument {
  name: string;
  /** Chosen when the database is created, and never changed. */
  engine: 'native' | 'pglite';
  volumeId: VolumeId;
  /** Of PostgreSQL. */
  majorVersion: number;
  createdAt: string;
}

const identity = <T extends string>() => text<T>(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'an identity');
const name = text(
  /^[A-Za-z][A-Za-z0-9_-]{0,62}$/,
  'a name (a letter, then at most 62 letters, digits, - or _)',
);
const instant = text(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/, 'a time such as 2026-01-31T12:00:00Z');
/** No root, no way up: it stays within the data directory. */
const relativePath = text(/^(?!\/)(?!(.*\/)?\.\.?(\/|$))\P{Cc}{1,200}$/u, 'a path within the data directory');
const zone = identity<Zone>();
const lsn = whole<Lsn>(0);
const epoch = whole<Epoch>(1);

const clusterShape = object<ClusterDocument>({
  format: oneOf(CLUSTER_FORMAT),
  clusterId: identity(),
  createdAt: instant,
});

const nodeShape = object<NodeDocument>({
  nodeId: identity<NodeId>(),
  zone,
  address: relativePath,
  ordinal: whole(0),
});

const groupShape = ruled(
  object<VolumeGroup>({
    pg: whole<PgIndex>(0, GROUPS_MAX - 1),
    membershipEpoch: epoch,
    members: listOf(
      object<GroupMember>({ node: identity<NodeId>(), kind: oneOf('full', 'tail'), zone }),
      MEMBERS_PER_GROUP,
    ),
  }),
  ({ members }) =>
    new Set(members.map((member) => member.node)).size < members.length ? 'names a node twice' : undefined,
);

const rangeShape = ruled(
  object<VolumeTruncationRange>({ volumeEpoch: epoch, after: lsn, through: lsn }),
  ({ after, through }) => (after > through ? `ends at ${through}, before it begins at ${after}` : undefined),
);

const volumeShape = ruled(
  object<VolumeDocument>({
    volumeId: identity<VolumeId>(),
    name,
    volumeEpoch: epoch,
    lsnAllocationLimitMax: lsn,
    pageSizeBytes: oneOf(PAGE_SIZE),
    pagesPerGroup: whole(1),
    groups: listOf(groupShape),
    truncationRanges: listOf(rangeShape),
  }),
  volumeFault,
);

function volumeFault({ volumeEpoch, groups, truncationRanges }: VolumeDocument): string | undefined {
  const gap = groups.findIndex((group, index) => group.pg !== index);
  if (gap >= 0) return `groups[${gap}] is protection group ${groups[gap]?.pg}`;
  let last = 0;
  for (const range of truncationRanges) {
    if (range.volumeEpoch <= last) return `truncation ranges are out of order at epoch ${range.volumeEpoch}`;
    last = range.volumeEpoch;
  }
  return last > volumeEpoch ? `a truncation range has epoch ${last}, above ${volumeEpoch}` : undefined;
}

const databaseShape = object<DatabaseDocument>({
  name,
  engine: oneOf('native', 'pglite'),
  volumeId: identity<VolumeId>(),
  majorVersion: whole(1, 99),
  createdAt: instant,
});

/** The one document about the cluster; its id is the empty string. */
export const CLUSTER: DocumentKind<ClusterDocument> = {
  prefix: 'cluster',
  shape: clusterShape,
  idOf: () => '',
};

export const NODES: DocumentKind<NodeDocument, NodeId> = {
  prefix: 'nodes/',
  shape: nodeShape,
  idOf: (node) => node.nodeId,
};

export const VOLUMES: DocumentKind<VolumeDocument, VolumeId> = {
  prefix: 'volumes/',
  shape: volumeShape,
  idOf: (volume) => volume.volumeId,
};

export const DATABASES: DocumentKind<DatabaseDocument> = {
  prefix: 'databases/',
  shape: databaseShape,
  idOf: (database) => database.name,
};
