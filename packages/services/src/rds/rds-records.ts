/**
 * What the registry has of RDS beside the databases themselves. A cluster is one database, `c-…`; its writer is that it runs,
 * its standby that a process waits to take the place of the one that does; a snapshot is one kept point of an archive, `snap-…`.
 *
 * - Everything is decided by one write of one record: of the cluster, but for what concerns an instance or a snapshot alone.
 * - A database, or a kept point with the owner `rds`, is made only after a record that names it was written. So one that no
 *   record names is left over, and goes.
 */
import type { DatabaseSource } from '@rokka/databases';
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';

export interface ClusterRecord {
  /** Small letters. */
  readonly id: string;
  /** `cluster-` and 26 letters and digits; never used again. */
  readonly resourceId: string;
  /** `c-` and hexadecimal digits; never used again. */
  readonly database: string;
  readonly createdAtMs: number;
  readonly engineVersion: string;
  readonly userName: string;
  /** As it was asked for; else there is only `postgres`. */
  readonly databaseName?: string;
  readonly retentionDays: number;
  readonly backupWindow: string;
  readonly maintenanceWindow: string;
  readonly deletionProtection: boolean;
  readonly copyTagsToSnapshot: boolean;
  readonly tags: readonly Tag[];
  /** What it was restored from. */
  readonly restoredFrom?: RestoredFrom;
  /** Until its database is made: with what. Taken out again by the write after that. */
  readonly wish?: DatabaseWish;
  /** The writer. Whoever is named neither here nor as `standby` is no instance of it yet, or none any more. */
  readonly instance?: string;
  /** None where there is no writer. */
  readonly standby?: string;
  /** The writer is a new one: until its database has been started again for it. */
  readonly failover?: Failover;
  /** Resource ids of instances that will never be its own: their records may be removed. */
  readonly refused?: readonly string[];
  /** By StopDBCluster. */
  readonly stopped?: boolean;
  readonly deleting?: Deleting;
  /** What the events have said of it last. */
  readonly told?: 'stopped' | 'started';
}

export interface Failover {
  readonly sinceMs: number;
  /** Of the database: the one that serves the new writer. Chosen after the writer was, so that it is a start of its own. */
  readonly generation?: number;
}

export type RestoredFrom =
  | { readonly kind: 'snapshot'; readonly arn: string }
  | { readonly kind: 'time'; readonly arn: string; readonly atMs: number };

export interface DatabaseWish {
  readonly password: string;
  readonly port?: number;
  readonly source?: DatabaseSource;
  /** What keeps the source until the database does; absent where a retention does. */
  readonly kept?: string;
}

export interface Deleting {
  readonly sinceMs: number;
  /** Kept before anything goes. */
  readonly finalSnapshot?: { readonly id: string; readonly kept: string };
  /** Nothing holds it up any more, and nothing takes it back. */
  readonly decided?: boolean;
}

export interface InstanceRecord {
  readonly id: string;
  /** `db-` and 26 letters and digits. */
  readonly resourceId: string;
  readonly cluster: string;
  readonly clusterResourceId: string;
  readonly createdAtMs: number;
  readonly instanceClass: string;
  /** From the next maintenance window on. */
  readonly pendingClass?: string;
  readonly promotionTier: number;
  readonly maintenanceWindow: string;
  readonly tags: readonly Tag[];
  readonly deleting?: { readonly sinceMs: number };
  /** What the events have said of it last: which generation serves, or why none does. */
  readonly told?: { readonly generation?: number; readonly failure?: string };
}

export interface ClusterSnapshotRecord {
  readonly id: string;
  readonly createdAtMs: number;
  /** Its kept point. */
  readonly kept: string;
  /** The kept point that it is a copy of. */
  readonly copyOf?: { readonly kept: string; readonly arn: string };
  readonly tags: readonly Tag[];
  /** The cluster as it was. */
  readonly cluster: Pick<
    ClusterRecord,
    | 'id'
    | 'resourceId'
    | 'database'
    | 'createdAtMs'
    | 'engineVersion'
    | 'userName'
    | 'databaseName'
    | 'retentionDays'
    | 'backupWindow'
  > & { readonly port: number };
  /** Why there will never be a kept point. */
  readonly failure?: string;
  readonly told?: 'available' | 'failed';
}

export type EventSource = 'db-cluster' | 'db-instance' | 'db-cluster-snapshot';

export interface EventRecord {
  /** Counted up. */
  readonly number: number;
  readonly sourceType: EventSource;
  readonly sourceId: string;
  readonly arn: string;
  readonly message: string;
  readonly categories: readonly string[];
  readonly atMs: number;
}

const prefix = ({ account, region }: Scope, kind: string) => `accounts/${account}/${region}/rds/${kind}/`;

export const recordPrefixes = {
  clusters: (scope: Scope) => prefix(scope, 'clusters'),
  instances: (scope: Scope) => prefix(scope, 'instances'),
  snapshots: (scope: Scope) => prefix(scope, 'cluster-snapshots'),
};
export const recordKeys = {
  cluster: (scope: Scope, id: string) => recordPrefixes.clusters(scope) + id,
  instance: (scope: Scope, id: string) => recordPrefixes.instances(scope) + id,
  snapshot: (scope: Scope, id: string) => recordPrefixes.snapshots(scope) + id,
  events: ({ account, region }: Scope) => `accounts/${account}/${region}/rds/events`,
};

/** Owner of kept points. */
export const OWNER = 'rds';
const DATABASE_NAME = /^c-[0-9a-f]{16}$/;
export const isRdsDatabase = (name: string) => DATABASE_NAME.test(name);
