import type { CopyDBClusterSnapshotCommand } from '@aws-sdk/client-rds';
import { newSnapshotName } from '@rokka/databases';
import type { Operation } from '@rokka/gateway';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { demandBuilt, tagRules } from '../rds-inputs.ts';
import { checkedTags, withTags } from '../../tags.ts';
import { findSnapshot } from '../rds-lookup.ts';
import { knownName, newName, scopeOf } from '../rds-names.ts';
import { madeSnapshot } from '../snapshot-making.ts';
import { snapshotStatus } from '../status.ts';

/**
 * Another one of the same point: either may be deleted, and the other stays.
 * @throws DBClusterSnapshotNotFoundFault, DBClusterSnapshotAlreadyExistsFault, InvalidDBClusterSnapshotStateFault,
 * InvalidParameterValue, InvalidParameterCombination
 */
export const copyDBClusterSnapshot = (
  services: RdsServices,
): Operation<typeof CopyDBClusterSnapshotCommand> => ({
  resources: (input, call) => [
    rdsArn(
      call,
      'cluster-snapshot',
      knownName('cluster-snapshot', input.SourceDBClusterSnapshotIdentifier, call),
    ),
    rdsArn(
      call,
      'cluster-snapshot',
      newName(
        'cluster-snapshot',
        input.TargetDBClusterSnapshotIdentifier,
        'TargetDBClusterSnapshotIdentifier',
      ),
    ),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'SourceDBClusterSnapshotIdentifier',
      'TargetDBClusterSnapshotIdentifier',
      'CopyTags',
      'Tags',
    ]);
    const target = input.TargetDBClusterSnapshotIdentifier;
    const id = newName('cluster-snapshot', target, 'TargetDBClusterSnapshotIdentifier');
    const own = checkedTags(input.Tags, tagRules);
    const source = await findSnapshot(services, scope, input.SourceDBClusterSnapshotIdentifier);
    const { record } = source;
    if (snapshotStatus(source) !== 'available')
      throw rdsFailures.snapshotState(
        `The snapshot ${record.id} is ${snapshotStatus(source)}, not available.`,
      );
    const DBClusterSnapshot = await madeSnapshot(services, scope, {
      id,
      createdAtMs: services.clock.wallMs(),
      kept: newSnapshotName(services.random),
      copyOf: { kept: record.kept, arn: rdsArn(scope, 'cluster-snapshot', record.id) },
      tags: input.CopyTags === true ? withTags(record.tags, own, tagRules) : own,
      cluster: record.cluster,
    });
    return { DBClusterSnapshot };
  },
});
