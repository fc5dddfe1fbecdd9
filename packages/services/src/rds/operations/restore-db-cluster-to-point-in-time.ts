import type { RestoreDBClusterToPointInTimeCommand } from '@aws-sdk/client-rds';
import type { InputOf, Operation } from '@rokka/gateway';
import type { ClusterFacts } from '../cluster-facts.ts';
import { demandClusterStatus, SETTLED } from '../cluster-changes.ts';
import { CLUSTER_MEMBERS, makeCluster } from '../cluster-making.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { demandBuilt } from '../rds-inputs.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, newName, scopeOf } from '../rds-names.ts';
import { restorable } from '../rds-shapes.ts';

/** Whether all of the data is brought over, or only what is written: the rest is read where it is. */
const MATERIALISED: Readonly<Record<string, boolean>> = { 'full-copy': true, 'copy-on-write': false };

type Input = InputOf<typeof RestoreDBClusterToPointInTimeCommand>;

/**
 * A new cluster with the data of another one at a time, and the password that the other one has now.
 * @throws DBClusterAlreadyExistsFault, DBClusterNotFoundFault, InvalidDBClusterStateFault, InvalidRestoreFault, and what inputs
 * may not say
 */
export const restoreDBClusterToPointInTime = (
  services: RdsServices,
): Operation<typeof RestoreDBClusterToPointInTimeCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', newName('cluster', input.DBClusterIdentifier, 'DBClusterIdentifier')),
    rdsArn(call, 'cluster', knownName('cluster', input.SourceDBClusterIdentifier, call)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const id = newName('cluster', input.DBClusterIdentifier, 'DBClusterIdentifier');
    demandBuilt(input, [
      ...CLUSTER_MEMBERS,
      'DBClusterIdentifier',
      'SourceDBClusterIdentifier',
      'RestoreType',
      'RestoreToTime',
      'UseLatestRestorableTime',
    ]);
    const { RestoreType = 'full-copy' } = input;
    const materialise = Object.hasOwn(MATERIALISED, RestoreType) ? MATERIALISED[RestoreType] : undefined;
    if (materialise === undefined)
      throw rdsFailures.parameter(
        `Invalid RestoreType ${RestoreType.slice(0, 64)}: full-copy or copy-on-write.`,
      );
    demandOneTime(input);
    const facts = await findCluster(services, scope, input.SourceDBClusterIdentifier);
    demandClusterStatus(facts, SETTLED);
    const { archive, lsn, atMs } = await pointOf(services, facts, input);
    const { cluster: source } = facts;
    const password = await services.databases.password(source.database);
    if (password === undefined) throw rdsFailures.restore(`The password of ${source.id} is not known here.`);
    const { userName, databaseName, retentionDays, backupWindow, maintenanceWindow } = source;
    const cluster = {
      id,
      userName,
      databaseName,
      inherited: { retentionDays, backupWindow, maintenanceWindow },
      restoredFrom: { kind: 'time', arn: rdsArn(scope, 'cluster', source.id), atMs } as const,
      wish: { password, source: { archive, lsn, materialise } },
    };
    return { DBCluster: await makeCluster(services, scope, { input, cluster }) };
  },
});

function demandOneTime({ RestoreToTime, UseLatestRestorableTime }: Input): void {
  if ((RestoreToTime !== undefined) === (UseLatestRestorableTime === true))
    throw rdsFailures.combination('One of RestoreToTime and UseLatestRestorableTime must be specified.');
}

async function pointOf(services: RdsServices, facts: ClusterFacts, { RestoreToTime }: Input) {
  const { cluster, database } = facts;
  const times = await restorable(services, facts);
  if (!database || !times)
    throw rdsFailures.restore(`Nothing of DB cluster ${cluster.id} is in the archive yet.`);
  const { earliestMs, latestMs } = times;
  const wantedMs = RestoreToTime?.getTime() ?? latestMs;
  if (!(wantedMs >= earliestMs && wantedMs <= latestMs))
    throw rdsFailures.restore(
      `DB cluster ${cluster.id} can be restored to times from ${said(earliestMs)} to ${said(latestMs)}.`,
    );
  const point = await services.points.at(database.volumeId, wantedMs);
  if (!point) throw rdsFailures.restore(`The archive of DB cluster ${cluster.id} has no point of that time.`);
  return { archive: database.volumeId, lsn: point.lsn, atMs: point.atMs };
}

const said = (atMs: number) => new Date(atMs).toISOString();
