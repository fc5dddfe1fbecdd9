import type { CreateDBClusterSnapshotCommand } from '@aws-sdk/client-rds';
import { newSnapshotName } from '@rokka/databases';
import type { Operation } from '@rokka/gateway';
import { demandClusterStatus } from '../cluster-changes.ts';
import { snapshotRecord } from '../cluster-snapshots.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { tagRules } from '../rds-inputs.ts';
import { checkedTags } from '../../tags.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, newName, scopeOf } from '../rds-names.ts';
import { demandBucket, madeSnapshot } from '../snapshot-making.ts';

/** @throws DBClusterNotFoundFault, DBClusterSnapshotAlreadyExistsFault, InvalidDBClusterStateFault, InvalidParameterValue, InvalidParameterCombination */
export const createDBClusterSnapshot = (
  services: RdsServices,
): Operation<typeof CreateDBClusterSnapshotCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call)),
    rdsArn(
      call,
      'cluster-snapshot',
      newName('cluster-snapshot', input.DBClusterSnapshotIdentifier, 'DBClusterSnapshotIdentifier'),
    ),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { clock, random } = services;
    const name = input.DBClusterSnapshotIdentifier;
    const id = newName('cluster-snapshot', name, 'DBClusterSnapshotIdentifier');
    const tags = checkedTags(input.Tags, tagRules);
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    demandClusterStatus(facts, ['available', 'backing-up']);
    demandBucket(services, `Cluster ${facts.cluster.id} gets no snapshot`);
    const kept = newSnapshotName(random);
    const record = snapshotRecord(facts, { id, kept, atMs: clock.wallMs(), tags });
    return { DBClusterSnapshot: await madeSnapshot(services, scope, record) };
  },
});
