/** What goes wrong in RDS, as the exceptions that its clients know, mostly in AWS's own words. */
import {
  DBClusterAlreadyExistsFault,
  DBClusterNotFoundFault,
  DBClusterParameterGroupNotFoundFault,
  DBClusterSnapshotAlreadyExistsFault,
  DBClusterSnapshotNotFoundFault,
  DBInstanceAlreadyExistsFault,
  DBInstanceNotFoundFault,
  DBParameterGroupNotFoundFault,
  DBSubnetGroupNotFoundFault,
  InstanceQuotaExceededFault,
  InvalidDBClusterSnapshotStateFault,
  InvalidDBClusterStateFault,
  InvalidDBInstanceStateFault,
  InvalidRestoreFault,
} from '@aws-sdk/client-rds';
import { AwsError } from '@rokka/gateway';
import { isCoded } from '@rokka/kernel';
import type { ResourceKind } from './rds-arns.ts';

const said = (message: string) => ({ message, $metadata: {} });

export const rdsFailures = {
  notFound(kind: ResourceKind, name: string) {
    const shown = name.slice(0, 300);
    if (kind === 'cluster') return new DBClusterNotFoundFault(said(`DBCluster ${shown} not found.`));
    if (kind === 'db') return new DBInstanceNotFoundFault(said(`DBInstance ${shown} not found.`));
    return new DBClusterSnapshotNotFoundFault(said(`DBClusterSnapshot ${shown} not found.`));
  },
  alreadyExists(kind: ResourceKind, id: string) {
    if (kind === 'cluster') return new DBClusterAlreadyExistsFault(said(`DB Cluster already exists: ${id}`));
    if (kind === 'db') return new DBInstanceAlreadyExistsFault(said(`DB instance already exists: ${id}`));
    return new DBClusterSnapshotAlreadyExistsFault(
      said(`Cannot create the cluster snapshot because one with the identifier ${id} already exists.`),
    );
  },
  clusterState: (why: string) => new InvalidDBClusterStateFault(said(why)),
  instanceState: (why: string) => new InvalidDBInstanceStateFault(said(why)),
  snapshotState: (why: string) => new InvalidDBClusterSnapshotStateFault(said(why)),
  restore: (why: string) => new InvalidRestoreFault(said(why)),
  twoInstances: (cluster: string, writer: string, standby: string) =>
    new InstanceQuotaExceededFault(
      said(
        `DB cluster ${cluster} has the DB instances ${writer} and ${standby}, and a cluster here has two at most: its writer and a standby.`,
      ),
    ),
  noSubnetGroup: (name: string) =>
    new DBSubnetGroupNotFoundFault(said(`DB subnet group '${name}' does not exist: there are none here.`)),
  noClusterParameterGroup: (name: string) =>
    new DBClusterParameterGroupNotFoundFault(said(`DBClusterParameterGroup not found: ${name}`)),
  noParameterGroup: (name: string) =>
    new DBParameterGroupNotFoundFault(said(`DBParameterGroup not found: ${name}`)),
  /** The SDK has no classes for these two. */
  parameter: (message: string) => new AwsError('InvalidParameterValue', message),
  combination: (message: string) => new AwsError('InvalidParameterCombination', message),
};

/** What `Databases` refuses is the caller's to know; everything else stays what it was. */
export function asRdsFailure(error: unknown): unknown {
  if (
    isCoded(error, 'DATABASE_PORT_TAKEN') ||
    isCoded(error, 'DATABASE_PORTS_EXHAUSTED') ||
    isCoded(error, 'DATABASE_NAME_INVALID')
  )
    return rdsFailures.parameter(error.message);
  if (isCoded(error, 'DATABASE_NONE') || isCoded(error, 'DATABASE_DELETED'))
    return rdsFailures.clusterState(error.message);
  if (isCoded(error, 'DATABASE_NO_SNAPSHOT')) return rdsFailures.snapshotState(error.message);
  if (isCoded(error, 'DATABASE_NO_BUCKET')) return rdsFailures.combination(error.message);
  return error;
}
